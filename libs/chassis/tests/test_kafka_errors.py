"""Protocol errors of Kafka, one kind after the other: no consumer stays deaf, no record is passed by or overtaken."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faststream.kafka import KafkaBroker

from chassis.publishing import NotSent, Publisher, Record
from chassis.subscription import Subscription, Watched, watch
from testkit import mockkafka as mock
from testkit.eventually import eventually
from testkit.mockkafka import MockKafka, mock_kafka

# Heartbeats, session and the watch's patience are the real ones, and those are seconds.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

TOPIC, GROUP, PARTITIONS = "errors.workflow.requests", "errors.billing", 2
DEAF_AT_MOST = 30.0


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    with mock_kafka(2) as cluster:
        cluster.topic(TOPIC, PARTITIONS)
        yield cluster


class Hearing:
    """What a service's consumer was given; the watch over it looks once a second, as in a running worker."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.restarted: dict[Subscription, float] = {}

    async def apply(self, records: Sequence[Any]) -> None:
        self.values += [record.value for record in records]

    async def keep_watch(self, subscription: Subscription) -> None:
        while True:
            await watch(subscription, self.restarted)
            await asyncio.sleep(1.0)


@asynccontextmanager
async def hearing(kafka: MockKafka) -> AsyncIterator[Hearing]:
    broker = KafkaBroker(
        kafka.bootstrap, consumer_only=True, allow_auto_create_topics=False, apply_types=False, graceful_timeout=None,
        logger=None,
    )  # fmt: skip
    found = Hearing()
    subscription = Subscription(
        broker, found.apply, asyncio.Event(), topics=[TOPIC], group_id=GROUP, max_records=500, batch_bytes=1 << 20,
    )  # fmt: skip
    await broker.connect()
    config = broker.config.broker_config
    config.builder = partial(Watched, **config.builder.keywords)  # type: ignore[attr-defined]
    await broker.start()
    watching = asyncio.create_task(found.keep_watch(subscription))
    try:
        yield found
        assert not watching.done(), "only a new process could have helped"
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
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
    "heartbeat-generation": (mock.HEARTBEAT, [mock.ILLEGAL_GENERATION]),
    "heartbeat-unknown-member": (mock.HEARTBEAT, [mock.UNKNOWN_MEMBER]),
    "heartbeat-rebalance": (mock.HEARTBEAT, [mock.REBALANCE]),
    "heartbeat-coordinator-moved": (mock.HEARTBEAT, [mock.NOT_COORDINATOR] * 3),
    "heartbeat-unauthorised": (mock.HEARTBEAT, [30]),
    "fetch-not-leader": (mock.FETCH, [mock.NOT_LEADER] * 5),
    "fetch-timed-out": (mock.FETCH, [mock.TIMED_OUT] * 5),
    "fetch-topic-unknown": (mock.FETCH, [mock.TOPIC_NOT_KNOWN] * 5),
    "fetch-unauthorised": (mock.FETCH, [mock.TOPIC_AUTHORIZATION] * 2),
    "commit-generation": (mock.OFFSET_COMMIT, [mock.ILLEGAL_GENERATION]),
    "commit-unknown-member": (mock.OFFSET_COMMIT, [mock.UNKNOWN_MEMBER]),
    "commit-loading": (mock.OFFSET_COMMIT, [mock.LOADING] * 3),
    "commit-fenced": (mock.OFFSET_COMMIT, [mock.FENCED_INSTANCE]),
}


@pytest.mark.parametrize("fault", ERRORS)
async def test_a_consumer_hears_everything_within_thirty_seconds_of_any_error(kafka: MockKafka, fault: str) -> None:
    async with hearing(kafka) as heard, talking(kafka) as producer:
        numbers = count(1)

        async def told() -> list[bytes]:
            values = [b"%d" % next(numbers) for _ in range(PARTITIONS)]
            for partition, value in enumerate(values):
                await producer.send_and_wait(TOPIC, value, partition=partition)
            return values

        sent = await told()
        await eventually(lambda: set(heard.values) >= set(sent), within=30)
        kafka.answer(*ERRORS[fault])
        struck = time.monotonic()
        while time.monotonic() < struck + 6:  # two heartbeats, and some commits and fetches, are answered meanwhile
            sent += await told()
            await asyncio.sleep(0.5)
        await eventually(lambda: set(heard.values) >= set(sent), within=struck + DEAF_AT_MOST - time.monotonic())
    assert await committed(kafka) == len(sent)


async def committed(kafka: MockKafka) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        return sum([await consumer.committed(TopicPartition(TOPIC, n)) or 0 for n in range(PARTITIONS)])
    finally:
        await consumer.stop()
