"""Rows of the journal to records on Kafka: ready batches on an idempotent producer, one outstanding per partition."""

import asyncio
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis import naming, telemetry
from chassis.writing import merged
from contracts.envelope import binary

log = structlog.get_logger(__name__)

BATCH_BYTES = 512 << 10
_SEND_WITHIN = 20.0
_STOP_WITHIN = 3.0


class Record(NamedTuple):
    """One record, ready for its partition."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp_ms: int


class NotSent(Exception):
    """A batch was not acknowledged; whether it was written is not known, so its rows are read and sent again.

    The first `sent` records of the call were acknowledged.
    """

    def __init__(self, detail: str, sent: int = 0) -> None:
        super().__init__(detail)
        self.sent = sent


COLUMNS = (
    "j.grp, j.seq, j.recorded_at, j.topic, j.event_id, j.type, j.version, j.key, j.sequence, j.occurred_at, j.actor, "
    "j.correlation_id, j.causation_id, j.hop, j.traceparent, j.data, j.personal"
)
"""What `record_of` reads of the journal (`j`), in its order; what else a row has stands behind."""


def record_of(row: Sequence[Any], source: str) -> Record:
    """A row of the journal as it goes out; a row without data is a tombstone."""
    (
        _, _, recorded_at, _, event_id, type_, version, key, sequence, occurred_at, actor,
        correlation_id, causation_id, hop, traceparent, data, personal, *_,
    ) = row  # fmt: skip
    value = merged(data, personal)
    headers = binary(
        source, type_, version, event_id, occurred_at, key, sequence, correlation_id, causation_id, hop, _said(actor),
        traceparent,
    )  # fmt: skip
    body = None if value is None else value.encode()
    return Record(key.encode(), body, headers, int(recorded_at.timestamp() * 1000))


@lru_cache(maxsize=4096)
def _said(actor: str | None) -> str | None:
    """The actor of a row as its header says it."""
    if actor is None:
        return None
    who = orjson.loads(actor)
    return f"{who['kind']}:{who['id']}" if who.get("id") else str(who["kind"])


class Publisher:
    """The relay's producer. After any failure it is thrown away: an idempotent producer cannot be trusted then."""

    def __init__(self, prefix: str, **kafka: Any) -> None:
        self._prefix = prefix
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._gone: asyncio.Future[None]
        self._counts: dict[str, int] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=BATCH_BYTES,
                    max_request_size=4 << 20,
                    request_timeout_ms=15_000,
                    linger_ms=0,
                    **self._kafka,
                )
                starting = asyncio.create_task(producer.start())
                try:
                    await asyncio.shield(starting)
                except BaseException:
                    await _ended(starting)  # a start that is cut off in the middle leaves connections open
                    await _stop(producer)
                    raise
                self._producer, self._gone = producer, asyncio.get_running_loop().create_future()
            return self._producer

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has at the broker; raises NotSent when it does not exist (yet)."""
        known = self._counts.get(topic)
        if known is None:
            producer = await self._started()
            asked = asyncio.ensure_future(producer.partitions_for(naming.topic(self._prefix, topic)))
            try:
                found = await self._unless_gone(asked)
            except KafkaError as error:
                raise NotSent(f"{topic}: {error!r}") from error
            finally:
                asked.cancel()
            known = self._counts[topic] = len(found)
        return known

    async def send(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Write records in order and return when all are acknowledged; raises NotSent at the first failure.

        A partition has one batch outstanding at a time, whoever sends.
        """
        name, sent = naming.topic(self._prefix, topic), 0
        async with self._locks.setdefault((topic, partition), asyncio.Lock()):
            producer = await self._started()
            try:
                for builder, count in _batches(producer, records):
                    async with asyncio.timeout(_SEND_WITHIN):
                        await self._unless_gone(await producer.send_batch(builder, name, partition=partition))
                    sent += count
                    telemetry.RELAY_FACTS_TOTAL.labels(topic).inc(count)
            except (KafkaError, TimeoutError, OSError, NotSent) as error:
                telemetry.RELAY_FAILURES_TOTAL.inc()
                await self._throw_away(producer)
                raise NotSent(f"{topic}-{partition}: {error!r}", sent) from error

    async def _unless_gone(self, asked: asyncio.Future[Any]) -> Any:
        """Wait for an answer, or for the end of its producer: one that was thrown away settles and answers nothing."""
        gone = self._gone
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            asked.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise NotSent("the producer was thrown away")
        return await asked

    async def _throw_away(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            self._counts.clear()
            self._gone.set_result(None)
            await _stop(producer)

    async def close(self) -> None:
        """Stop the producer."""
        if self._producer is not None:
            await self._throw_away(self._producer)


def _batches(producer: AIOKafkaProducer, records: Sequence[Record]) -> Iterator[tuple[Any, int]]:
    """Ready batches in order, each with the number of its records. A batch takes its first record whatever its size."""
    builder, count = producer.create_batch(), 0
    for record in records:
        fields = {"key": record.key, "value": record.value, "headers": record.headers, "timestamp": record.timestamp_ms}
        if builder.append(**fields) is None:
            yield builder, count
            builder, count = producer.create_batch(), 0
            if builder.append(**fields) is None:
                raise NotSent(f"a record of {len(record.value or b'')} bytes fits into no batch")
        count += 1
    builder.close()
    yield builder, count


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer, for a while; one whose broker is away is cut off, so that it cannot write later."""
    stop = asyncio.create_task(producer.stop())
    if not await _ended(stop):
        sender = producer._sender.sender_task
        for task in (stop, sender):
            if task is not None:
                task.cancel()
                await _ended(task)
        await _ended(asyncio.create_task(producer.client.close()))


async def _ended(task: asyncio.Task[None]) -> bool:
    """Wait for a task, not for long; whether it ended, however."""
    done, _ = await asyncio.wait({task}, timeout=_STOP_WITHIN)
    if done and not task.cancelled() and (error := task.exception()) is not None:
        log.debug("producer_not_stopped", error=repr(error))
    return bool(done)
