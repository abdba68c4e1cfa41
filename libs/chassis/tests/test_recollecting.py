"""What a recovery takes from the service's own topics: what its relay wrote there, and nothing of anybody else's."""

import dataclasses
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from chassis.decision import record
from chassis.journal import Codec
from chassis.recollecting import Own
from chassis.rewinding import Published
from chassis.service import Service
from contracts import workflow
from testkit import toy
from testkit.streams import body, headers
from testkit.toyhearing import WORKFLOW

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
