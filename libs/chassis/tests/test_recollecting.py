"""What a recovery takes from the service's own topics: what its relay wrote there, and nothing of anybody else's."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from chassis.asked import refusal_of
from chassis.decision import record
from chassis.ids import new_id
from chassis.journal import Codec
from chassis.recollecting import Commands, Number, Own, stands_at
from chassis.rewinding import Published
from chassis.service import Service
from contracts import workflow
from contracts.billing import RemoveCharge
from testkit import toy
from testkit.streams import body, headers
from testkit.toyhearing import BILLING, WORKFLOW

TILL = UUID(int=7)
NOTE = workflow.NoteAdded(note_id=UUID(int=8), note_no=3)
TOPIC = "t.workflow.requests"
SINCE = datetime(2026, 11, 24, tzinfo=UTC)


@record
class Noted:
    """The note as it is published."""

    note_id: UUID
    note_no: int


def telling() -> Service:
    codec = Codec()
    codec.told(Noted, workflow.NoteAdded)
    return dataclasses.replace(WORKFLOW, aggregates=(dataclasses.replace(toy.TILLS, codec=codec),))


class Kept:
    """A topic of one partition, read back."""

    def __init__(self, records: Sequence[Any]) -> None:
        self._records = records

    async def places(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [TopicPartition(f"t.{topic}", 0) for topic in topics]

    async def records(self, places: Sequence[TopicPartition], since: datetime) -> AsyncIterator[Any]:
        for each in self._records:
            yield each


def said(subject: UUID | str = TILL, key: bytes | None = None, **more: Any) -> Any:
    return SimpleNamespace(
        topic=TOPIC, partition=0, offset=5, timestamp=0, value=body(NOTE),
        key=str(subject).encode() if key is None else key, headers=headers("t", NOTE, subject, 1, **more),
    )  # fmt: skip


async def told(*records: Any) -> tuple[list[UUID], set[UUID]]:
    """The subjects that are taken from the own stream, and the ids that count as published."""
    published = Published()
    own = Own(SimpleNamespace(prefix="t", name="workflow", service=telling()), published)  # type: ignore[arg-type]
    found = await own.stream(Kept(records), 0, SINCE)  # type: ignore[arg-type]
    return list(found), published.ids


async def test_what_the_service_told_is_taken() -> None:
    subjects, ids = await told(said(id=UUID(int=9)))
    assert (subjects, ids) == ([TILL], {UUID(int=9)})


@pytest.mark.parametrize(
    ("strange", "reason"),
    [
        (said(source="/t/billing"), "source-wrong"),
        (said(source="/other/workflow"), "source-wrong"),
        (said(source="/erp", subject="poison"), "source-wrong"),
        (said(key=b"poison"), "key-wrong"),
        (SimpleNamespace(topic=TOPIC, offset=5, key=b"poison", value=b"{", headers=[]), "not-a-cloudevent"),
    ],
)
async def test_what_somebody_else_wrote_there_is_passed_over(strange: Any, reason: str) -> None:
    with capture_logs() as lines:
        subjects, ids = await told(strange, said(id=UUID(int=9)))
    assert (subjects, ids) == ([TILL], {UUID(int=9)})
    assert [line["reason"] for line in lines] == [reason]


# -- clients' commands -------------------------------------------------------------------------------------------

GOOD = orjson.dumps({"line_id": str(NOTE.note_id)})
COMMANDS, RESULTS = "billing.commands.erp", "billing.results.erp"


class Exchange:
    """A client's pair of topics, read back: commands as they were sent, answers as they were given."""

    def __init__(self, **topics: Sequence[Any]) -> None:
        self._topics = topics

    async def beginning_with(self, start: str) -> list[str]:
        return [name for name in (COMMANDS, RESULTS) if name.startswith(start)]

    async def places(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [TopicPartition(f"t.{topic}", 0) for topic in topics]

    async def records(self, places: Sequence[TopicPartition], since: datetime | None) -> AsyncIterator[Any]:
        for place in places:
            for each in self._topics[place.topic.split(".")[2]]:
                yield each


def command(identifier: UUID, number: int | None, value: bytes = GOOD) -> Any:
    said = headers("", RemoveCharge, TILL, number, id=identifier, source="/elsewhere")  # type: ignore[arg-type]
    return SimpleNamespace(
        topic=f"t.{COMMANDS}", partition=0, offset=5, timestamp=0, value=value, key=str(TILL).encode(), headers=said
    )


def answered(identifier: UUID, slug: str | None) -> Any:
    problem = {"problem": {"type": f"/problems#{slug}", "status": 409}} if slug else {"answer": {}}
    value = orjson.dumps({"command_id": identifier, "subject": TILL, **problem})
    return SimpleNamespace(timestamp=0, value=value, headers=headers("t", NOTE, TILL, 1))


async def read_back(commands: Sequence[Any], results: Sequence[Any]) -> Commands:
    async def get(name: str) -> None:
        """Nobody: the schema's backup is older than the client."""

    runtime = SimpleNamespace(
        prefix="t", name="billing", service=BILLING, clients=SimpleNamespace(get=get),
        settings=SimpleNamespace(body_limit=1000),
    )  # fmt: skip
    found = Commands(runtime, Published())  # type: ignore[arg-type]
    await found.read(Exchange(commands=commands, results=results), SINCE, SINCE)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("stood", "said", "stands"),
    [
        (3, [(4, None), (5, None), (9, "number-missing")], 5),
        (3, [(4, None), (5, "not-enough"), (4, "number-used")], 5),
        (4, [(5, None), (6, "invalid"), (7, "invalid")], 7),
        (3, [(6, "invalid"), (4, None), (5, None)], 5),
        (5, [(3, None), (9, "invalid")], 5),
    ],
)
async def test_a_clients_position_is_what_its_answers_made_of_it(
    stood: int, said: list[tuple[int, str | None]], stands: int
) -> None:
    ids = [new_id() for _ in said]
    sent = [command(each, n, b"{}" if slug == "invalid" else GOOD) for each, (n, slug) in zip(ids, said, strict=True)]
    told = [answered(each, slug) for each, (_, slug) in zip(ids, said, strict=True)]
    found = await read_back(sent[::-1], told)
    [(place, numbers)] = found.numbers().items()
    assert place == ("tills", COMMANDS, TILL)
    assert stands_at(stood, numbers) == stands


@pytest.mark.parametrize("later", ["idempotency-key-reused", "unknown-caller", "invalid", None])
async def test_a_command_whose_id_served_another_later_keeps_its_own_answer(later: str | None) -> None:
    same = new_id()
    sent = [command(same, None), command(same, None, b'{"line_id": null}')]
    found = await read_back(sent, [answered(same, None), answered(same, later)])
    [kept] = found.answered.values()
    assert (kept.answer, kept.refused, kept.asked.remember) == ("{}", None, True)


async def test_a_refusal_stays_when_its_client_is_turned_away_with_the_same_command_later() -> None:
    same = new_id()
    found = await read_back([command(same, 4)] * 2, [answered(same, "not-enough"), answered(same, "unknown-caller")])
    [kept] = found.answered.values()
    assert refusal_of(kept.refused or "").slug == "not-enough"


async def test_a_command_that_was_turned_away_first_has_the_answer_that_it_was_given_then() -> None:
    same = new_id()
    found = await read_back([command(same, 4)] * 2, [answered(same, "unknown-caller"), answered(same, None)])
    [kept] = found.answered.values()
    assert (kept.answer, kept.refused, kept.asked.remember) == ("{}", None, True)


def saying(**more: Any) -> bytes:
    return orjson.dumps({"line_id": str(NOTE.note_id), **more})


ACTED = saying(actor={"kind": "person", "id": str(UUID(int=9))})
BACKDATED = saying(effective_at="2020-01-01T00:00:00Z")


@pytest.mark.parametrize("value", [GOOD, ACTED, BACKDATED])
@pytest.mark.parametrize("slug", [None, "not-enough"])
async def test_what_a_client_commanded_is_known_though_it_was_registered_after_the_backup(
    value: bytes, slug: str | None
) -> None:
    identifier = new_id()
    found = await read_back([command(identifier, 4, value)], [answered(identifier, slug)])
    assert found.numbers() == {("tills", COMMANDS, TILL): [Number(4, turned=False)]}
    assert (found.answered[identifier].asked.remember, found.client_of(identifier)) == (True, "erp")


@pytest.mark.parametrize(
    ("value", "slug", "counted"),
    [
        (GOOD, "unknown-caller", False),
        (GOOD, "insufficient-scope", False),
        (ACTED, "insufficient-scope", False),
        (ACTED, "actor-not-allowed", True),
        (BACKDATED, "backdating-not-allowed", True),
    ],
)
async def test_a_command_that_was_turned_away_at_the_door_is_decided_anew(
    value: bytes, slug: str, counted: bool
) -> None:
    identifier = new_id()
    found = await read_back([command(identifier, 4, value)], [answered(identifier, slug)])
    assert found.numbers() == ({("tills", COMMANDS, TILL): [Number(4, turned=True)]} if counted else {})
    assert found.answered[identifier].asked.remember is False
