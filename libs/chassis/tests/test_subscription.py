"""The consumer under a service's hearing: what fails is repeated and never passed by; what is deaf is restarted."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream.kafka import KafkaBroker
from hypothesis import given
from hypothesis import strategies as st

from chassis import health, subscription
from chassis.database import Unavailable
from chassis.kafka import IDLE_MS
from chassis.subscription import Apply, Offsets, Subscription, in_pieces, watch
from chassis.watched import Watched
from testkit.eventually import eventually
from testkit.streams import Wire, make_topics

QUIET = IDLE_MS / 1000 + 1
"""Seconds, more than two good polls of an idle consumer are apart."""


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 50))
def test_pieces_are_the_batch_in_its_order_and_none_is_larger_than_allowed(sizes: list[int], most: int) -> None:
    records = [SimpleNamespace(value=b"x" * size if size else None) for size in sizes]
    pieces = [list(piece) for piece in in_pieces(records, most)]
    assert [record for piece in pieces for record in piece] == records
    assert all(pieces)
    assert all(len(piece) == 1 or sum(len(r.value or b"") for r in piece) <= most for piece in pieces)


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, ("workflow.requests",))
    async with Wire(kafka.bootstrap, prefix) as found:
        yield found


@asynccontextmanager
async def subscribed(kafka: Any, prefix: str, apply: Apply) -> AsyncIterator[Subscription]:
    broker = KafkaBroker(
        kafka.bootstrap, consumer_only=True, allow_auto_create_topics=False, apply_types=False, graceful_timeout=None,
        logger=None,
    )  # fmt: skip
    found = Subscription(
        broker, apply, asyncio.Event(), topics=[f"{prefix}.workflow.requests"], group_id=f"{prefix}.billing",
        max_records=500, batch_bytes=1 << 20,
    )  # fmt: skip
    await broker.connect()
    config = broker.config.broker_config
    config.builder = partial(Watched, **config.builder.keywords)  # type: ignore[attr-defined]
    await broker.start()
    try:
        yield found
    finally:
        await found.finish()
        await broker.stop()


class Applied:
    """Takes records; fails with each of `errors` first."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.values: list[bytes] = []

    async def __call__(self, records: Sequence[Any]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.values += [record.value for record in records]


async def test_what_fails_is_repeated_until_it_is_applied_and_then_committed(
    kafka: Any, prefix: str, wire: Wire
) -> None:
    apply = Applied(Unavailable("away"), ValueError("planted"), Unavailable("away"))
    async with subscribed(kafka, prefix, apply) as found:
        await wire.send("workflow.requests", uuid4(), b"1", [("reply_to", b"elsewhere"), ("n", None), ("x", b"\xff")])
        await eventually(lambda: apply.values == [b"1"])
        assert found.hears_facts
        assert 0 < found.lag() < 30
        await watch(found, {})
        assert found.lag() == 0
    assert await wire.committed("billing", "workflow.requests") == 1


async def test_offsets_of_a_partition_that_has_moved_away_are_left_to_its_new_owner(
    kafka: Any, prefix: str, wire: Wire
) -> None:
    gone, mine = (TopicPartition(f"{prefix}.workflow.requests", n) for n in range(2))
    group = f"{prefix}.billing"
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([mine])
        offsets = Offsets(15.0)
        offsets.consumer = consumer
        for places in ([gone], [gone, mine]):
            offsets.applied([SimpleNamespace(topic=topic, partition=n, offset=4) for topic, n in places])
            await offsets.commit()
        assert [await consumer.committed(place) for place in (gone, mine)] == [None, 5]
    finally:
        await consumer.stop()


async def test_a_batch_that_can_never_be_applied_ends_the_process_and_is_not_committed(
    kafka: Any, prefix: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "_LONGEST_PAUSE", 0.05)
    apply = Applied(*[ValueError("planted")] * 100)
    async with subscribed(kafka, prefix, apply) as found:
        await wire.send("workflow.requests", uuid4(), b"1", [])
        await eventually(lambda: found.broken is not None)
        with pytest.raises(RuntimeError, match="cannot be applied"):
            await watch(found, {})
        apply.errors.clear()
        key = uuid4()
        await wire.send("workflow.requests", key, b"2", [])
    assert apply.values == []
    assert await wire.committed("billing", "workflow.requests") == 0


async def test_a_consumer_whose_fetching_has_failed_counts_as_deaf_and_hears_again_after_its_restart(
    kafka: Any, prefix: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "QUIET_TOO_LONG", QUIET)
    apply = Applied()
    async with subscribed(kafka, prefix, apply) as found:
        await wire.send("workflow.requests", uuid4(), b"1", [])
        await eventually(lambda: apply.values == [b"1"])
        fetcher = found._subscriber.consumer._fetcher  # type: ignore[union-attr]
        monkeypatch.setattr(fetcher, "_get_actions_per_node", lambda assignment: 1 / 0)
        await wire.send("workflow.requests", uuid4(), b"2", [])
        await eventually(lambda: found.quiet_for > QUIET)
        await watch(found, {})
        await eventually(lambda: b"2" in apply.values)
        assert found.quiet_for < QUIET


async def test_a_deaf_consumer_is_restarted_once_and_hears_again(
    kafka: Any, prefix: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "QUIET_TOO_LONG", QUIET)
    apply, restarted = Applied(), dict[Subscription, float]()
    async with subscribed(kafka, prefix, apply) as found:
        await wire.send("workflow.requests", uuid4(), b"1", [])
        await eventually(lambda: apply.values == [b"1"])
        found._subscriber.consumer._coordinator._coordination_task.cancel()  # type: ignore[union-attr]
        await eventually(lambda: found.quiet_for > QUIET)
        await watch(found, restarted)
        assert found in restarted
        await wire.send("workflow.requests", uuid4(), b"2", [])
        await eventually(lambda: b"2" in apply.values)
        await watch(found, restarted)
        found._subscriber.consumer._coordinator._coordination_task.cancel()  # type: ignore[union-attr]
        await eventually(lambda: found.quiet_for > QUIET)
        with pytest.raises(RuntimeError, match="stays deaf"):
            await watch(found, restarted)


async def test_a_broker_that_answers_no_more_is_told_of_although_polls_go_on(
    kafka: Any, prefix: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with subscribed(kafka, prefix, Applied()) as found:
        await eventually(lambda: found.polled)
        consumer: Any = found._subscriber.consumer
        joined = consumer.answered_at
        await eventually(lambda: consumer.answered_at > joined)
        with monkeypatch.context() as away:
            away.setattr(consumer._client, "send", lambda *_, **__: asyncio.get_running_loop().create_future())
            await eventually(lambda: found.unheard_for > 2 * QUIET)
            assert found.quiet_for < QUIET


async def test_an_idle_consumer_says_in_time_that_a_broker_answers(kafka: Any, prefix: str, wire: Wire) -> None:
    async with subscribed(kafka, prefix, Applied()) as found:
        await eventually(lambda: found.polled)
        for _ in range(3):
            async with asyncio.timeout(health._CHECK_SECONDS):
                assert await found.silent() is None


async def test_what_comes_on_a_partition_is_not_held_up_by_a_fetch_that_leaves_it_out(
    kafka: Any, prefix: str, wire: Wire
) -> None:
    key, held_back_for = uuid4(), 30_000
    consumer = Watched(
        f"{prefix}.workflow.requests", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest",
        fetch_max_wait_ms=held_back_for,
    )  # fmt: skip
    await wire.send("workflow.requests", key, b"1", [])
    await consumer.start()
    try:
        await eventually(lambda: consumer._fetcher._records)
        taken_at = time.monotonic() + 0.5  # a batch in hand that takes a while
        await eventually(lambda: time.monotonic() > taken_at)
        await consumer.getmany()
        await wire.send("workflow.requests", key, b"2", [])
        async with asyncio.timeout(10):
            (records,) = (await consumer.getmany(timeout_ms=held_back_for)).values()
        assert [record.value for record in records] == [b"2"]
    finally:
        await consumer.stop()
