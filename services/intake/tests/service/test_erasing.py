"""A contact is erased: what was said of it goes, from the journal, from states and from what readers see."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest_asyncio

from chassis.agenda import Agenda
from chassis.clients import Client
from chassis.erasing import Eraser
from chassis.timers import revive_of
from contracts import intake as contract
from contracts import workflow
from intake.main import SERVICE, Settings
from testkit.databases import Databases
from testkit.standing import Standing, standing

ANN = uuid4()
NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
ERP = Client("erp", frozenset({"requests:write", "contacts:write", "contacts:erase"}))
SECRET = "Carlsecret"


@pytest_asyncio.fixture
async def intake(fresh_database: Databases, tmp_path: Path) -> AsyncIterator[Standing]:
    async with standing(SERVICE, Settings, fresh_database, tmp_path) as found:
        await found.know(
            workflow.CurrentQueue(queue="support", version=3),
            workflow.Person(person_id=ANN, name="Ann", login="ann", active=True, roles=("agent",), version=1),
        )
        yield found


async def registered(intake: Standing, name: str, login: str) -> UUID:
    contact_id = uuid4()
    command = contract.RegisterContact(contact_id=contact_id, name=name, email=f"{name}@acme.example", login=login)
    assert (await intake.command(ERP, contact_id, command)).refused is None
    return contact_id


async def submitted(intake: Standing, contact_id: UUID, text: str) -> UUID:
    request = uuid4()
    command = contract.Submit(
        contact_id=contact_id, queue="support", summary=text, description=text, custom={"who": text}
    )
    assert (await intake.command(ERP, request, command)).refused is None
    return request


def opened(contact_id: UUID, summary: str = SECRET) -> workflow.RequestOpened:
    return workflow.RequestOpened(
        number="R-000001", contact_id=contact_id, queue="support", queue_version=3, stage="New", state="new",
        visit_no=1, priority="medium", urgency="medium", impact="medium", received_at=NOON, summary=summary,
    )  # fmt: skip


def eraser(intake: Standing) -> Eraser:
    return Eraser(intake.runtime.database, intake.runtime.deciders)


async def erased(intake: Standing, contact_id: UUID) -> int:
    outcome = await intake.command(ERP, contact_id, contract.EraseContact(reason=f"{SECRET} asked to"))
    assert outcome.refused is None
    return await eraser(intake).step()


async def everything(intake: Standing) -> str:
    """All that the schema holds, as text."""
    database = intake.runtime.database
    tables = await database.read(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace "
        "AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    )
    texts = [await database.read(f'SELECT t::text FROM "{row[0]}" t') for row in tables]
    return "\n".join(row[0] for rows in texts for row in rows)


async def test_nothing_of_an_erased_contact_is_left_in_the_schema(intake: Standing) -> None:
    carl = await registered(intake, SECRET, "carl")
    await submitted(intake, carl, SECRET)
    assert SECRET in await everything(intake)
    assert await erased(intake, carl) == 1
    assert SECRET not in await everything(intake)


async def test_others_keep_what_is_theirs(intake: Standing) -> None:
    carl, dora = await registered(intake, SECRET, "carl"), await registered(intake, "Dora", "dora")
    request = await submitted(intake, dora, "Dora's line is down")
    await erased(intake, carl)
    async with intake.client("ann", "requests:read contacts:read") as ann:
        shown = (await ann.get(f"/requests/{request}")).json()
        assert (shown["summary"], shown["custom"]) == ("Dora's line is down", {"who": "Dora's line is down"})
        assert (await ann.get(f"/contacts/{dora}")).json()["name"] == "Dora"


async def test_the_request_stays_and_goes_on_without_its_texts(intake: Standing) -> None:
    carl = await registered(intake, SECRET, "carl")
    request = await submitted(intake, carl, SECRET)
    await erased(intake, carl)
    moved = workflow.StageChanged(
        from_stage="New", to_stage="Work", state="in-progress", visit_no=1, direction="progress"
    )
    [outcome] = await intake.hear(request, moved)
    assert outcome.refused is None
    async with intake.client("ann", "requests:read contacts:read") as ann:
        shown = (await ann.get(f"/requests/{request}")).json()
        contact = (await ann.get(f"/contacts/{carl}")).json()
        assert (await ann.get("/contacts")).json()["items"] == []
    assert (shown["number"], shown["summary"], shown["description"], shown["custom"]) == ("R-000001", None, None, None)
    assert (shown["status"], shown["contact_id"]) == ("in-progress", str(carl))
    assert (contact["erased"], contact["name"], contact["email"]) == (True, None, None)


async def test_an_erased_contact_cannot_sign_in_and_its_login_is_free(intake: Standing) -> None:
    carl = await registered(intake, SECRET, "carl")
    await erased(intake, carl)
    async with intake.client("carl", "requests:read") as client:
        assert (await client.get("/requests")).status_code == 403
    await registered(intake, "Charles", "carl")


async def test_erasing_is_told_as_a_tombstone_and_done_once(intake: Standing) -> None:
    carl = await registered(intake, SECRET, "carl")
    assert await erased(intake, carl) == 1
    assert await eraser(intake).step() == 0
    rows = await intake.runtime.database.read(
        "SELECT topic, data, key FROM journal WHERE type = 'intake.contact-erased'"
    )
    assert [(row["topic"], row["data"], row["key"]) for row in rows] == [("intake.contacts", None, str(carl))]


async def waiting(intake: Standing) -> bytes:
    """What the messages that wait say."""
    return b"".join(row[0] for row in await intake.runtime.database.read("SELECT record FROM waiting ORDER BY id"))


async def test_what_waits_loses_its_personal_fields_and_is_decided_without_them(intake: Standing) -> None:
    carl, database = await registered(intake, SECRET, "carl"), intake.runtime.database
    said = {"summary": SECRET, "description": SECRET, "custom": {"who": SECRET}}
    command = contract.Submit(contact_id=carl, queue="sales", **said)
    assert (await intake.command(ERP, uuid4(), command, may_wait=True)).waiting
    assert [outcome.waiting for outcome in await intake.hear(uuid4(), opened(carl))] == [True]
    await intake.hear(uuid4(), opened(uuid4(), summary="Dora's line is down"))
    assert (await waiting(intake)).count(SECRET.encode()) == 4
    await erased(intake, carl)
    assert SECRET not in await everything(intake)
    assert (await waiting(intake)).count(SECRET.encode()) == 0
    assert b"Dora's line is down" in await waiting(intake)
    await intake.know(workflow.CurrentQueue(queue="sales", version=1))
    await database.execute("UPDATE waiting SET next_at = clock_timestamp(), first_at = first_at - interval '1 hour'")
    await Agenda(database, intake.runtime.deciders, revive_of(intake.runtime)).sweep()
    answers = await database.read("SELECT data::text FROM journal WHERE topic = 'intake.results.erp' ORDER BY seq")
    problems = [json.loads(row["data"]).get("problem", {}).get("title") for row in answers]
    assert [title for title in problems if title] == ["Contact erased"]
    assert await waiting(intake) == b""


async def test_a_waiting_fact_that_nobody_can_read_keeps_its_place_alone(intake: Standing) -> None:
    carl = await registered(intake, SECRET, "carl")
    await intake.hear(uuid4(), opened(carl))
    spoilt = f'{{"{SECRET}": "{carl}'.encode()
    await intake.runtime.database.execute("UPDATE waiting SET record = $1", spoilt)
    await erased(intake, carl)
    assert await waiting(intake) == b"{}"


async def test_one_who_cannot_be_erased_keeps_nobody_else_from_it_and_is_tried_by_the_next_process(
    intake: Standing,
) -> None:
    carl, dora = await registered(intake, SECRET, "carl"), await registered(intake, "Dora", "dora")
    database = intake.runtime.database
    for contact in (carl, dora):
        await intake.command(ERP, contact, contract.EraseContact(reason="asked to"))
    spoil = "UPDATE journal SET data = $2 WHERE subject = $1 AND type = 'intake.contact'"
    (kept,) = await database.read("SELECT data::text FROM journal WHERE subject = $1 AND type = 'intake.contact'", carl)
    await database.execute(spoil, carl, '{"version": "of old"}')
    first = eraser(intake)
    assert [await first.step(), await first.step()] == [1, 0]
    await database.execute(spoil, carl, kept["data"])
    assert [await first.step(), await eraser(intake).step()] == [0, 1]
    assert SECRET not in await everything(intake)
