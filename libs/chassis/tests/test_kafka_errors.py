"""Protocol errors of Kafka, one kind after the other: no consumer stays deaf, no record is passed by or overtaken."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream.kafka import KafkaBroker

from chassis.database import Database
from chassis.listening import _until_stopped
from chassis.publishing import Publisher
from chassis.relay import Relay
from chassis.subscription import Subscription
from chassis.wakeup import Wakeup
from chassis.watched import Watched
from contracts.envelope import from_headers
from testkit import mockkafka as mock
from testkit import toy
from testkit.eventually import eventually
from testkit.mockkafka import MockKafka, mock_kafka

# Heartbeats, session and the watch's patience are the real ones, and those are seconds.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

TOPIC, GROUP, PARTITIONS = "errors.workflow.requests", "errors.billing", 2
TILLS = "errors.toy.tills"
DEAF_AT_MOST = 25.0
"""Seconds between two good polls; the members of the mock's groups come together within another session."""
HEARD_WITHIN, PUBLISHED_WITHIN = 75.0, 30.0


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka(2) as cluster:
        cluster.topic(TOPIC, PARTITIONS)
        yield cluster


class Heard:
    """What a consumer was given, and the longest time that it was deaf."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.deaf = 0.0

    async def apply(self, records: Sequence[Any]) -> None:
        self.values += [record.value for record in records]

    async def look_at(self, subscription: Subscription) -> None:
        while True:
            self.deaf = max(self.deaf, subscription.quiet_for)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def hearing(kafka: MockKafka) -> AsyncIterator[Heard]:
    """A service's consumer, watched, and its offsets committed, as in a worker."""
    broker = KafkaBroker(
        kafka.bootstrap, consumer_only=True, allow_auto_create_topics=False, apply_types=False, graceful_timeout=None,
        logger=None,
    )  # fmt: skip
    heard, stopping = Heard(), asyncio.Event()
    subscription = Subscription(
        broker,
        heard.apply,
        stopping,
        topics=[TOPIC],
        group_id=GROUP,
        group_instance_id="local",
        max_records=500,
        batch_bytes=1 << 20,
    )
    await broker.connect()
    config = broker.config.broker_config
    config.builder = partial(Watched, **config.builder.keywords)  # type: ignore[attr-defined]
    await broker.start()
    working = asyncio.create_task(_until_stopped([subscription], stopping))
    looking = asyncio.create_task(heard.look_at(subscription))
    try:
        yield heard
    finally:
        looking.cancel()
        stopping.set()
        await working  # raises when only a new process could have helped
        await subscription.finish()
        await broker.stop()


@asynccontextmanager
async def talking(kafka: MockKafka) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


ERRORS = {
    "heartbeat-fenced": (mock.HEARTBEAT, [mock.FENCED_INSTANCE]),
    "heartbeat-unknown-member": (mock.HEARTBEAT, [mock.UNKNOWN_MEMBER]),
    "heartbeat-rebalance": (mock.HEARTBEAT, [mock.REBALANCE]),
    "heartbeat-coordinator-moved": (mock.HEARTBEAT, [mock.NOT_COORDINATOR] * 3),
    "heartbeat-unauthorised": (mock.HEARTBEAT, [mock.GROUP_AUTHORIZATION]),
    "fetch-not-leader": (mock.FETCH, [mock.NOT_LEADER] * 5),
    "fetch-timed-out": (mock.FETCH, [mock.TIMED_OUT] * 5),
    "fetch-topic-unknown": (mock.FETCH, [mock.TOPIC_NOT_KNOWN] * 5),
    "fetch-unauthorised": (mock.FETCH, [mock.TOPIC_AUTHORIZATION] * 2),
    "commit-generation": (mock.OFFSET_COMMIT, [mock.ILLEGAL_GENERATION]),
    "commit-loading": (mock.OFFSET_COMMIT, [mock.LOADING] * 3),
    "commit-fenced": (mock.OFFSET_COMMIT, [mock.FENCED_INSTANCE]),
}


EVICTED = frozenset({"heartbeat-unknown-member", "commit-generation"})
"""Answers that are not true of the mock's group: it keeps the place of who is told so until its session has ended."""


async def test_a_consumer_is_deaf_for_less_than_thirty_seconds_after_any_error_and_hears_everything() -> None:
    """All at once, each with a cluster of its own: most of the time they wait."""
    deaf = dict(zip(ERRORS, await asyncio.gather(*(through(fault) for fault in ERRORS)), strict=True))
    print(deaf)
    assert {fault for fault, seconds in deaf.items() if seconds >= DEAF_AT_MOST} <= EVICTED, deaf


async def through(fault: str) -> float:
    """Hear everything that is told before, during and after an error; the longest time that nothing could be heard."""
    with mock_kafka(2) as kafka:
        kafka.topic(TOPIC, PARTITIONS)
        async with hearing(kafka) as heard, talking(kafka) as producer:
            numbers = count(1)

            async def told() -> list[bytes]:
                values = [b"%d" % next(numbers) for _ in range(PARTITIONS)]
                for partition, value in enumerate(values):
                    await producer.send_and_wait(TOPIC, value, partition=partition)
                return values

            sent = await told()
            await eventually(lambda: set(heard.values) >= set(sent), within=30, message=f"before {fault}")
            kafka.answer(*ERRORS[fault])
            struck = time.monotonic()
            while time.monotonic() < struck + 6:  # two heartbeats, and some commits and fetches, are answered meanwhile
                sent += await told()
                await asyncio.sleep(0.5)
            await eventually(lambda: set(heard.values) >= set(sent), within=HEARD_WITHIN, message=f"after {fault}")

            async def all_committed() -> bool:
                return await committed(kafka) == len(sent)

            await eventually(all_committed, within=30, every=0.5, message=f"commits after {fault}")
        return heard.deaf


async def committed(kafka: MockKafka) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False, group_id=GROUP)
    await consumer.start()
    try:
        return sum([await consumer.committed(TopicPartition(TOPIC, n)) or 0 for n in range(PARTITIONS)])
    finally:
        await consumer.stop()


PRODUCE_ERRORS = {
    "not-leader": [mock.NOT_LEADER] * 5,
    "timed-out": [mock.TIMED_OUT] * 5,
    "not-enough-replicas": [mock.NOT_ENOUGH_REPLICAS] * 5,
    "out-of-order-sequence": [mock.OUT_OF_ORDER_SEQUENCE, 0, mock.OUT_OF_ORDER_SEQUENCE],
    "unknown-producer": [mock.UNKNOWN_PRODUCER] * 3,
    "fenced": [mock.PRODUCER_FENCED] * 3,
    "unauthorised": [mock.TOPIC_AUTHORIZATION] * 3,
    "too-large": [mock.TOO_LARGE, 0, mock.TOO_LARGE],
}


@pytest.mark.parametrize("fault", PRODUCE_ERRORS)
async def test_a_relay_publishes_everything_in_order_through_any_error(
    kafka: MockKafka, fresh_database: Any, fault: str
) -> None:
    tills = [uuid4() for _ in range(10)]
    async with relaying(kafka, (await fresh_database.template("toy", toy.create)).url) as database:
        decider = toy.decider(database)
        for n in range(10):
            kafka.answer(mock.PRODUCE, PRODUCE_ERRORS[fault] if n == 2 else [])
            await decider.handle_batch([toy.asked(till, toy.Add(1)) for till in tills])

        async def all_there() -> bool:
            found = await published(kafka)
            return all(list(dict.fromkeys(found.get(till, []))) == list(range(1, 11)) for till in tills)

        await eventually(all_there, within=PUBLISHED_WITHIN, every=0.2)


@asynccontextmanager
async def relaying(kafka: MockKafka, url: str) -> AsyncIterator[Database]:
    kafka.topic(TILLS, toy.PARTITIONS)
    database, bell, stopping = Database(url), Wakeup(url), asyncio.Event()
    publisher = Publisher("errors", bootstrap_servers=kafka.bootstrap)
    relay = Relay(database, publisher, bell, partitions=toy.PARTITIONS, source="/errors/toy")
    working = asyncio.create_task(relay.run(stopping))
    try:
        yield database
    finally:
        stopping.set()
        await asyncio.wait_for(working, 30)
        await bell.close()
        await database.close()


async def published(kafka: MockKafka) -> dict[UUID, list[int]]:
    """Sequences per subject in the order of the log."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
    await consumer.start()
    found: dict[UUID, list[int]] = {}
    try:
        places = [TopicPartition(TILLS, n) for n in range(toy.PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    envelope = from_headers(record.headers)
                    found.setdefault(UUID(str(envelope.subject)), []).append(envelope.sequence or 0)
    finally:
        await consumer.stop()
    return found
