"""Rows of the journal as records: everything that the chassis itself states can go out."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaTimeoutError

from chassis.publishing import COLUMNS, NotSent, Publisher, record_of
from contracts.envelope import from_headers

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ID = UUID(int=7)


def row(actor: str | None) -> list[object]:
    """What the relay reads of a row that says this of its actor."""
    fields: dict[str, object] = {
        "grp": 0, "seq": 1, "recorded_at": NOON, "topic": "billing.accounts", "event_id": ID, "type": "billing.thing",
        "version": 1, "key": str(ID), "sequence": 3, "occurred_at": NOON, "actor": actor, "correlation_id": ID,
        "causation_id": None, "hop": 0, "traceparent": None, "data": "{}", "personal": None,
    }  # fmt: skip
    return [fields[name.removeprefix("j.")] for name in COLUMNS.split(", ")]


@pytest.mark.parametrize(
    ("actor", "told"),
    [
        (None, (None, None)),
        ('{"kind":"system"}', ("system", None)),
        ('{"kind":"system","id":null}', ("system", None)),
        (f'{{"kind":"person","id":"{ID}"}}', ("person", ID)),
    ],
)
def test_a_record_says_who_did_it_whether_or_not_there_is_an_id(
    actor: str | None, told: tuple[str | None, UUID | None]
) -> None:
    envelope = from_headers(record_of(row(actor), "/billing").headers)
    assert (envelope.actor_kind, envelope.actor_id) == told


class Producer:
    """One whose broker answers nothing, with the real client behind it."""

    def __init__(self, **_: Any) -> None:
        self.client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
        self.asked = asyncio.Event()

    async def start(self) -> None:
        """It was reached once."""

    async def stop(self) -> None:
        """As aiokafka's does."""
        await self.client.close()

    async def partitions_for(self, topic: str) -> set[int]:
        """As aiokafka's does."""
        self.asked.set()
        return set(await self.client._wait_on_metadata(topic))

    def create_batch(self) -> Any:
        """One that takes every record."""
        return SimpleNamespace(append=lambda **_: object(), record_count=lambda: 1, close=lambda: None)

    async def send_batch(self, *_: Any, **__: Any) -> None:
        """As aiokafka's does when no broker has answered for long enough."""
        raise KafkaTimeoutError


async def test_who_asks_a_producer_that_another_lane_throws_away_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.publishing.AIOKafkaProducer", Producer)
    publisher = Publisher("")
    asking = asyncio.create_task(publisher.partitions("billing.accounts"))
    producer: Any = await publisher._started()
    await asyncio.wait_for(producer.asked.wait(), 5)
    with pytest.raises(NotSent):
        await publisher.send("billing.requests", 0, [record_of(row(None), "/billing")])
    told, _ = await asyncio.wait({asking}, timeout=5)
    assert told
    with pytest.raises(NotSent, match="thrown away"):
        await asking
