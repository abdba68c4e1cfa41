"""The public streams read from their beginning to where they ended when asked."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis import naming
from cli.reconcile.heard import Heard
from contracts.envelope import BadEnvelope, from_headers
from contracts.registry import TOPICS

STREAMS = tuple(topic.name for topic in TOPICS if topic.kind == "stream")


async def facts(
    bootstrap: str, prefix: str, *, topics: Iterable[str] = STREAMS, since: datetime | None = None
) -> AsyncIterator[Heard]:
    """Every fact on the streams, partition by partition in order, at least up to the ends at the time of the call."""
    async with following(bootstrap, prefix, topics=topics, since=since) as more:
        async for heard in more():
            yield heard


@asynccontextmanager
async def following(
    bootstrap: str, prefix: str, *, topics: Iterable[str] = STREAMS, since: datetime | None = None
) -> AsyncIterator[Callable[[], AsyncIterator[Heard]]]:
    """The same, again and again: each call goes on where the last one ended, at least up to the ends of then."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(naming.topic(prefix, topic), partition)
            for topic in topics
            for partition in sorted(await _partitions(consumer, naming.topic(prefix, topic)))
        ]
        consumer.assign(partitions)
        await _seek(consumer, partitions, since)
        yield lambda: _up_to_now(consumer, partitions, prefix)
    finally:
        await consumer.stop()


async def _up_to_now(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], prefix: str
) -> AsyncIterator[Heard]:
    ends = await consumer.end_offsets(partitions)
    left = {p for p in partitions if await consumer.position(p) < ends[p]}
    while left:
        for records in (await consumer.getmany(*left, timeout_ms=500)).values():
            for record in records:
                if (heard := _heard(record, prefix)) is not None:
                    yield heard
        left = {p for p in left if await consumer.position(p) < ends[p]}


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()
    found = consumer.partitions_for_topic(topic)
    if found is None:
        await consumer.topics()
        found = consumer.partitions_for_topic(topic)
    return set(found or ())


async def _seek(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], since: datetime | None) -> None:
    if since is None:
        await consumer.seek_to_beginning(*partitions)
        return
    millis = int(since.timestamp() * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, millis))
    ends = await consumer.end_offsets(partitions)
    for partition in partitions:
        at = found.get(partition)
        consumer.seek(partition, at.offset if at is not None else ends[partition])


def _heard(record: object, prefix: str) -> Heard | None:
    try:
        envelope = from_headers(record.headers)  # type: ignore[attr-defined]
        subject = UUID(envelope.subject or "")
    except (BadEnvelope, ValueError):
        return None
    if envelope.sequence is None or record.value is None:  # type: ignore[attr-defined]
        return None
    return Heard(
        naming.plain(prefix, record.topic),  # type: ignore[attr-defined]
        envelope.type,
        subject,
        envelope.sequence,
        envelope.id,
        envelope.time,
        orjson.loads(record.value),  # type: ignore[attr-defined]
        record.partition,  # type: ignore[attr-defined]
        datetime.fromtimestamp(record.timestamp / 1000, UTC),  # type: ignore[attr-defined]
    )
