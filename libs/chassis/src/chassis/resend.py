"""Gaps mended, the producer's side: what is asked on `<producer>.asks` is answered on `<reader>.resent`."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from chassis import naming, telemetry
from chassis.database import AWAY, Database, Unavailable
from chassis.hearing import HISTORY
from chassis.ids import jitter
from chassis.kafka import IDLE_MS, fetching_whole, silent
from chassis.partition import partition_of
from chassis.publishing import COLUMNS, NotSent, Publisher, Record, record_of
from chassis.unanswered import Dropping, Unanswered
from contracts import registry
from contracts.exchange import ResendAsked

log = structlog.get_logger(__name__)

_AGAIN_AFTER = 10.0
"""Seconds in which nobody asks, or answers, the same again."""
_PAGE = 500
_BULK_PAUSE = 0.02
_MOST = 10_000
_PUBLISHED = "FROM journal j JOIN relay_cursor c ON c.grp = j.grp AND j.seq <= c.high AND j.seq <> ALL(c.holes)"
_FACTS = (
    f"SELECT {COLUMNS} {_PUBLISHED} WHERE j.subject = $1 AND j.topic = $2 AND j.sequence > $3 "
    "ORDER BY j.sequence LIMIT $4"
)
_ALL = f"SELECT {COLUMNS} {_PUBLISHED} WHERE j.grp = $1 AND j.seq > $2 AND j.topic = $3 ORDER BY j.seq LIMIT $4"
_GROUPS = "SELECT grp FROM relay_cursor ORDER BY grp"


class Answers:
    """The producer's side: sends facts again as they stood, never beyond what the relay has published.

    The same ask is answered once in ten seconds, however often it is repeated. What is asked in bulk is answered beside
    the single asks, one at a time, and begun anew by the next process when this one dies.
    """

    def __init__(self, database: Database, publisher: Publisher, service: str, prefix: str) -> None:
        self._database = database
        self._publisher = publisher
        self._service = service
        self._prefix = prefix
        self._source = naming.source(prefix, service)
        self._streams = {one.name for one in registry.TOPICS if one.owner == service and one.kind == "stream"}
        self._answered: dict[tuple[str, str, UUID | None, int], float] = {}
        self._one_in_bulk = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None

    async def run(self, stopping: asyncio.Event, **kafka: Any) -> None:
        """Answer asks until told to stop. What is away is waited for; publishing never waits for this."""
        pause = 0.5
        while not stopping.is_set():
            try:
                await self._answer_until(stopping, **kafka)
            except (KafkaError, NotSent, Unavailable, *AWAY) as error:
                log.warning("asks_not_answered", error=str(error), again_in=pause)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), jitter(pause))
                pause = min(2 * pause, 10.0)

    async def _answer_until(self, stopping: asyncio.Event, **kafka: Any) -> None:
        consumer = AIOKafkaConsumer(
            group_id=naming.group(self._prefix, f"{self._service}.relay"),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=IDLE_MS,
            consumer_timeout_ms=IDLE_MS,
            **kafka,
        )
        unanswered, committed = Unanswered(), dict[Any, int]()

        async def commit() -> None:
            moved = dict(unanswered.committable().items() - committed.items())
            if moved:
                await consumer.commit(moved)
                committed.update(moved)

        topic = naming.topic(self._prefix, f"{self._service}.asks")
        try:
            await consumer.start()
            fetching_whole(consumer)
            self._consumer = consumer
            consumer.subscribe([topic], listener=Dropping(unanswered, commit))
            while not stopping.is_set():
                for place, records in (await consumer.getmany(timeout_ms=1000, max_records=100)).items():
                    await self._answer_all_of(place, records, unanswered, stopping)
                unanswered.settle()
                await commit()
        finally:
            self._consumer = None
            await unanswered.drop_all()
            await consumer.stop()

    async def silent(self) -> str | None:
        """None when a broker answers now, else what is wrong."""
        return await silent(self._consumer and self._consumer._client)

    async def _answer_all_of(
        self, place: TopicPartition, records: Sequence[Any], unanswered: Unanswered, stopping: asyncio.Event
    ) -> None:
        """Answer what is asked for single subjects; begin to answer what is asked for all."""
        asks = _readable(records)
        for offset, asked in asks:
            if asked.subject is None and self._is_new(asked):
                key = asked.asker, asked.stream
                unanswered.begin(place, offset, key, partial(self._answer_bulk, asked, stopping))
        for asked in _distinct(asked for _, asked in asks if asked.subject is not None):
            if asked.subject is not None and self._is_new(asked):
                await self.answer(asked, asked.subject)
                self._done(asked)
        unanswered.read(place, records[-1].offset)

    def _is_new(self, asked: ResendAsked) -> bool:
        """Whether this is told here and was not answered just now."""
        now = time.monotonic()
        self._answered = {key: at for key, at in self._answered.items() if at > now}
        return asked.stream in self._streams and _key(asked) not in self._answered

    def _done(self, asked: ResendAsked) -> None:
        self._answered[_key(asked)] = time.monotonic() + _AGAIN_AFTER

    async def _answer_bulk(self, asked: ResendAsked, stopping: asyncio.Event) -> None:
        async with self._one_in_bulk:
            await self.answer_all(asked, stopping)
        self._done(asked)

    async def answer(self, asked: ResendAsked, subject: UUID) -> None:
        """Send one subject's facts again, up to a bound. Raises NotSent and Unavailable."""
        after, sent = asked.after, 0
        while sent < _MOST:
            rows = await self._database.read(_FACTS, subject, asked.stream, after, _PAGE)
            if not rows:
                break
            await self._send(asked, rows)
            after, sent = rows[-1]["sequence"], sent + len(rows)
        log.info("resent", subject=str(subject), stream=asked.stream, to=asked.asker, facts=sent)

    async def answer_all(self, asked: ResendAsked, stopping: asyncio.Event) -> None:
        """Send a whole stream again, marked as history, page by page so that others get through as well."""
        sent = 0
        for (group,) in await self._database.read(_GROUPS):
            after = 0
            while rows := await self._database.read(_ALL, group, after, asked.stream, _PAGE):
                if stopping.is_set():
                    raise NotSent("the process drains; the ask is answered by the next")
                await self._send(asked, rows, HISTORY)
                after, sent = rows[-1]["seq"], sent + len(rows)
                await asyncio.sleep(_BULK_PAUSE)
        log.info("resent_all", stream=asked.stream, to=asked.asker, facts=sent)

    async def _send(self, asked: ResendAsked, rows: Sequence[Any], *marks: tuple[str, bytes]) -> None:
        topic = f"{asked.asker}.resent"
        count = await self._publisher.partitions(topic)
        placed: dict[int, list[Record]] = {}
        for row in rows:
            record = record_of(row, self._source)
            placed.setdefault(partition_of(record.key, count), []).append(
                record._replace(headers=[*record.headers, *marks])
            )
        for partition, records in placed.items():
            await self._publisher.send(topic, partition, records)
        telemetry.RELAY_RESENT_TOTAL.labels(asked.asker).inc(len(rows))


def _key(asked: ResendAsked) -> tuple[str, str, UUID | None, int]:
    return asked.asker, asked.stream, asked.subject, asked.after


def _readable(records: Sequence[Any]) -> list[tuple[int, ResendAsked]]:
    """The asks of a batch with their offsets; what cannot be read, and who is no service, is passed."""
    found = []
    for record in records:
        try:
            asked = ResendAsked.read(record.value or b"")
        except ValidationError:
            log.warning("ask_unreadable", offset=record.offset)
            continue
        if asked.asker in registry.SERVICES:
            found.append((record.offset, asked))
    return found


def _distinct(asks: Iterable[ResendAsked]) -> list[ResendAsked]:
    """One ask a subject, stream and asker: the one that has the least."""
    found: dict[tuple[str, str, UUID | None], ResendAsked] = {}
    for asked in asks:
        key = asked.asker, asked.stream, asked.subject
        if key not in found or asked.after < found[key].after:
            found[key] = asked
    return list(found.values())
