"""Intake on real Kafka and PostgreSQL: commanded by another system's topics, told by workflow's, telling on its own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest_asyncio

from chassis.clients import Client
from chassis.database import Database
from chassis.partition import partition_of
from chassis.retelling import SHARES, tell_again, tell_share
from contracts import intake, workflow
from contracts.base import ActorRef
from intake.main import SERVICE, Settings
from testkit.databases import Databases
from testkit.eventually import eventually
from testkit.othersystem import OtherSystem, register
from testkit.standing import Standing, at_work, standing
from testkit.streams import PARTITIONS, Wire, headers, make_topics

TOPICS = (
    "workflow.requests", "workflow.people", "workflow.catalogue", "workflow.asks", "intake.requests",
    "intake.contacts", "intake.resent", "intake.dead-letters", "intake.asks",
)  # fmt: skip
NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
ANN, CARL = uuid4(), uuid4()
ERP = Client("erp", frozenset({"requests:write", "contacts:write", "contacts:erase"}), may_act_for_others=True)
SUPPORT = workflow.CurrentQueue(queue="support", version=3)
PERSON = workflow.Person(person_id=ANN, name="Ann", login="ann", active=True, roles=("agent",), version=1)
OPENED = workflow.RequestOpened(
    number="R-000001", contact_id=CARL, queue="support", queue_version=3, stage="New", state="new", visit_no=1,
    priority="medium", urgency="medium", impact="medium", received_at=NOON,
)  # fmt: skip
MOVED = workflow.StageChanged(from_stage="New", to_stage="Work", state="in-progress", visit_no=2, direction="progress")
CLOSED = workflow.RequestClosed(
    outcome="resolved", close_no=1, from_stage="Work", closed_by=ActorRef(kind="person", id=ANN), charge_revision=0,
    elapsed_seconds=60, breached=False, closed_at=NOON, contact_id=CARL, number="R-000001",
)  # fmt: skip


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, TOPICS, ["intake/erp", "intake/crm"])
    async with Wire(kafka.bootstrap, prefix) as found:
        yield found


@pytest_asyncio.fixture
async def process(fresh_database: Databases, kafka: Any, prefix: str, tmp_path: Path) -> AsyncIterator[Standing]:
    given = {"kafka_bootstrap": kafka.bootstrap, "prefix": prefix, "partitions": PARTITIONS}
    async with standing(SERVICE, Settings, fresh_database, tmp_path, **given) as found:
        await register(found.runtime, ERP, Client("crm", frozenset()))
        yield found


@pytest_asyncio.fixture
async def erp(process: Standing, wire: Wire) -> AsyncIterator[OtherSystem]:
    """A registered system, with the service at work, a queue, a person and a contact known to it."""
    async with at_work(process.runtime):
        found = OtherSystem(wire, "intake", "erp")
        await wire.know(1, SUPPORT, PERSON)
        await eventually(lambda: known(process, 2), within=60, every=0.1)
        registered = await found.command(CARL, intake.RegisterContact(name="Carl", email="carl@acme.example"))
        assert registered.kind == "accepted"
        yield found


def submission(**more: Any) -> intake.Submit:
    return intake.Submit(**{"contact_id": CARL, "queue": "support", "summary": "Line down", **more})


async def told(wire: Wire, topic: str, count: int) -> list[tuple[str, bytes, int]]:
    """(type, key, sequence) of what is on a topic, once there is so much of it."""

    async def found() -> list[Any]:
        records = await wire.read(topic)
        return records if len(records) >= count else []

    return [
        (dict(each.headers)["ce_type"].decode(), each.key, int(dict(each.headers)["ce_sequence"]))
        for each in await eventually(found, within=60, every=0.25)
    ]


async def known(process: Standing, count: int) -> bool:
    """Whether so many documents of others have been heard: a command that must wait for one is answered once."""
    return len(await process.runtime.database.read("SELECT 1 FROM documents")) >= count


async def status(process: Standing, request: UUID) -> dict[str, Any]:
    rows = await process.runtime.database.read("SELECT state::text FROM submissions WHERE id = $1", request)
    found: dict[str, Any] = orjson.loads(rows[0][0])
    return found


async def age(process: Standing, seconds: int) -> bool:
    """Let what waits have waited longer, and be tried now; whether anything waits."""
    update = (
        "UPDATE waiting SET first_at = first_at - make_interval(secs => $1), next_at = clock_timestamp() RETURNING 1"
    )
    return bool(await process.runtime.database.read(update, seconds))


async def test_S103_a_command_sent_twice_submits_once_and_is_answered_twice_in_the_same_words(
    erp: OtherSystem, wire: Wire
) -> None:
    request = uuid4()
    sent = await erp.send(request, submission(actor=ActorRef(kind="person", id=ANN)), times=2)
    first, second = await erp.answered(sent, times=2)
    assert first == second
    assert (first.kind, first.body["answer"]["request_id"]) == ("accepted", str(request))
    assert await told(wire, "intake.requests", 1) == [("intake.request-submitted.v1", str(request).encode(), 1)]
    [record] = await wire.read("intake.requests")
    event = intake.RequestSubmitted.model_validate_json(record.value)
    assert (event.number, event.queue_version, event.owner_id) == (first.body["answer"]["number"], 3, ANN)


async def test_a_contacts_document_is_told_with_each_change_and_ends_with_a_tombstone(
    erp: OtherSystem, wire: Wire
) -> None:
    assert (await erp.command(CARL, intake.UpdateContact(phone="+49 30 1"))).kind == "accepted"
    assert (await erp.command(CARL, intake.EraseContact(reason="asked to be forgotten"))).kind == "accepted"
    assert len(await told(wire, "intake.contacts", 3)) == 3
    first, second, last = await wire.read("intake.contacts")
    assert {each.key for each in (first, second, last)} == {str(CARL).encode()}
    assert intake.Contact.model_validate_json(first.value).phone is None
    assert intake.Contact.model_validate_json(second.value).phone == "+49 30 1"
    assert last.value is None


async def test_documents_are_told_again_as_they_are_each_in_one_share_of_the_week(
    erp: OtherSystem, wire: Wire, process: Standing
) -> None:
    gone, database = uuid4(), process.runtime.database
    assert (await erp.command(gone, intake.RegisterContact(name="Dora"))).kind == "accepted"
    assert (await erp.command(gone, intake.EraseContact(reason="asked to be forgotten"))).kind == "accepted"
    before = len(await told(wire, "intake.contacts", 3))
    assert sum([await tell_share(database, "intake", PARTITIONS, share) for share in range(SHARES)]) == 2

    async def told_again() -> bool:
        return len(await wire.read("intake.contacts")) == before + 2

    await eventually(told_again, within=60, every=0.25)
    records = await wire.read("intake.contacts")
    for contact in (CARL, gone):
        *_, first, again = [record for record in records if record.key == str(contact).encode()]
        assert (again.value and orjson.loads(again.value)) == (first.value and orjson.loads(first.value))
        for name in ("ce_type", "ce_subject", "ce_sequence", "ce_source"):
            assert dict(again.headers)[name] == dict(first.headers)[name], name


async def test_an_hours_share_of_documents_is_told_by_one_process_alone(process: Standing) -> None:
    database = process.runtime.database
    ids = [uuid4() for _ in range(1_000)]
    await process.runtime.documents.store([("contact", str(each), 1, f'{{"contact_id":"{each}"}}') for each in ids])
    told = [await tell_again(database, "intake", PARTITIONS) for _ in range(3)]
    assert told[0] == (await database.read("SELECT count(*) FROM journal"))[0][0] > 0
    assert told[1:] == [0, 0]
    await database.execute("UPDATE series SET last = last - 1 WHERE name = 'documents told again'")
    assert await tell_again(database, "intake", PARTITIONS) == told[0]


async def test_a_tombstone_goes_out_after_a_document_that_is_being_told_again(process: Standing) -> None:
    database, carl = process.runtime.database, uuid4()
    await process.command(ERP, carl, intake.RegisterContact(name="Carl"))
    async with database.begin() as connection:  # as `tell_share` does it
        await connection.fetch("SELECT 1 FROM documents WHERE id = $1 FOR UPDATE", str(carl))
        erasing = asyncio.create_task(process.command(ERP, carl, intake.EraseContact(reason="asked to")))
        await eventually(lambda: _somebody_waits(database))
        (number,) = await connection.fetchrow(f"SELECT nextval('journal_seq_{_group(carl)}')")
    assert (await erasing).refused is None
    tombstone, data = await _last_told(database, carl)
    assert (tombstone > number, data) == (True, None)
    for share in range(SHARES):
        await tell_share(database, "intake", PARTITIONS, share)
    again, data = await _last_told(database, carl)
    assert (again > tombstone, data) == (True, None)


def _group(contact: UUID) -> int:
    return partition_of(str(contact).encode(), PARTITIONS)


async def _last_told(database: Database, contact: UUID) -> tuple[int, str | None]:
    (row,) = await database.read(
        "SELECT seq, data FROM journal WHERE key = $1 AND topic = 'intake.contacts' ORDER BY seq DESC LIMIT 1",
        str(contact),
    )
    return row["seq"], row["data"]


async def _somebody_waits(database: Database) -> bool:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool((await database.read(waits))[0][0])


async def test_what_cannot_be_accepted_is_refused_by_its_name_and_tells_nothing(erp: OtherSystem, wire: Wire) -> None:
    crm = OtherSystem(wire, "intake", "crm")
    wrong = await erp.command(uuid4(), submission(summary=" "))
    backdated = await erp.command(uuid4(), submission(received_at=NOON.replace(year=2020)))
    foreign = await erp.command(uuid4(), workflow.AddNote(text="not taken here"))
    unscoped = await crm.command(uuid4(), submission())
    assert [each.refusal for each in (wrong, backdated, foreign, unscoped)] == [
        "invalid",
        "right-missing",
        "unknown-command",
        "insufficient-scope",
    ]
    assert await wire.read("intake.requests") == []


async def test_a_submission_waits_for_its_queue_and_is_refused_when_it_does_not_come(
    erp: OtherSystem, wire: Wire, process: Standing
) -> None:
    late, never = uuid4(), uuid4()
    accepted = await erp.send(late, submission(queue="sales"))
    refused = await erp.send(never, submission(queue="nowhere"))
    waiting = "SELECT count(*) FROM waiting WHERE reason = 'unknown'"

    async def both_wait() -> bool:
        return bool((await process.runtime.database.read(waiting))[0][0] == 2)

    await eventually(both_wait, within=30)
    await wire.know(1, workflow.CurrentQueue(queue="sales", version=1))
    assert [answer.kind for answer in await erp.answered(accepted)] == ["accepted"]
    assert await age(process, 61)
    assert [answer.refusal for answer in await erp.answered(refused)] == ["queue-not-known"]
    assert [key for _, key, _ in await told(wire, "intake.requests", 1)] == [str(late).encode()]


async def test_where_a_request_stands_follows_workflow_whatever_comes_twice(
    erp: OtherSystem, wire: Wire, process: Standing
) -> None:
    request, other = uuid4(), uuid4()
    for each in (request, other):
        assert (await erp.command(each, submission())).kind == "accepted"
    for sequence, event in ((1, OPENED), (2, MOVED), (1, OPENED), (3, CLOSED), (2, MOVED)):
        await wire.tell(request, sequence, event)
    await wire.tell(other, 1, workflow.RequestRejected(reason="queue-unknown", detail="support@3 is not known here"))

    async def stand() -> bool:
        one, two = await status(process, request), await status(process, other)
        assert (one["status"], one["stage"], one["outcome"]) == ("closed", "Work", "resolved")
        return (two["status"], two["outcome"]) == ("rejected", "queue-unknown")

    await eventually(stand, within=30, every=0.1)
    assert [kind for kind, _, _ in await told(wire, "intake.requests", 2)] == ["intake.request-submitted.v1"] * 2


async def test_a_record_that_is_no_command_is_a_dead_letter_and_its_neighbours_are_answered(
    erp: OtherSystem, wire: Wire
) -> None:
    await wire.send("intake.commands.erp", uuid4(), b"no event", [])
    empty, identifier = uuid4(), uuid4()
    said = headers(wire.prefix, intake.Submit, empty, None, id=identifier, source="/erp")  # type: ignore[arg-type]
    await wire.send("intake.commands.erp", empty, b"{}", said)
    assert (await erp.command(uuid4(), submission())).kind == "accepted"
    assert [answer.refusal for answer in await erp.answered(identifier)] == ["invalid"]

    async def letters() -> list[str]:
        return [orjson.loads(each.value)["reason"] for each in await wire.read("intake.dead-letters")]

    assert await eventually(letters, within=60, every=0.25) == ["not-a-cloudevent"]
