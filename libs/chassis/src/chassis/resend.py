"""Gaps mended: a reader asks on `<producer>.asks`, its relay answers on `<reader>.resent` from the journal."""

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer
from pydantic import ValidationError

from chassis import applying, naming
from chassis.clock import utc_now
from chassis.database import Database
from chassis.ids import new_id
from chassis.journal import to_json
from chassis.partition import partition_of
from chassis.publishing import NotSent, Publisher, record_of
from contracts import registry
from contracts.exchange import ResendAsked

if TYPE_CHECKING:
    from chassis.relay import Relay

log = structlog.get_logger(__name__)

_AGAIN_AFTER = "10 seconds"
_PAGE = 500
_MOST = 10_000
_NOTED = (
    "INSERT INTO asks_sent (subject, topic, asked_at) VALUES ($1, $2, clock_timestamp()) "
    "ON CONFLICT (subject, topic) DO UPDATE SET asked_at = excluded.asked_at "
    f"WHERE asks_sent.asked_at < clock_timestamp() - interval '{_AGAIN_AFTER}' RETURNING 1"
)
_FACTS = (
    "SELECT grp, seq, recorded_at, event_id, topic, type, version, key, sequence, occurred_at, actor ->> 'kind' AS "
    "actor_kind, actor ->> 'id' AS actor_id, correlation_id, causation_id, hop, traceparent, data::text AS data, "
    "personal::text AS personal FROM journal WHERE subject = $1 AND topic = $2 AND sequence > $3 AND seq <= $4 "
    "ORDER BY sequence LIMIT $5"
)


async def ask(database: Database, service: str, partitions: int, subject: UUID, stream: str, after: int) -> bool:
    """Ask a stream's producer for what follows `after`; at most once in ten seconds for a subject and stream."""
    if not await database.read(_NOTED, subject, stream):
        return False
    producer = stream.split(".")[0]
    identifier = new_id()
    body = {"asker": service, "stream": stream, "subject": subject, "after": after}
    row = (
        partition_of(str(subject).encode(), partitions), identifier, f"{producer}.asks", "throughline.resend-asked", 1,
        str(subject), subject, None, utc_now(), '{"kind":"system"}', identifier, None, 0, None, None, None,
        to_json(body), None, None,
    )  # fmt: skip
    sql, arguments = applying.apply_statement([], partitions, [row])
    await database.execute(sql, *arguments)
    log.info("resend_asked", subject=str(subject), stream=stream, after=after)
    return True


class Answers:
    """The producer's side: sends facts again as they stood, never beyond what the relay has published."""

    def __init__(self, database: Database, publisher: Publisher, relay: "Relay", service: str, prefix: str) -> None:
        self._database = database
        self._publisher = publisher
        self._relay = relay
        self._service = service
        self._prefix = prefix
        self._source = naming.source(prefix, service)

    async def run(self, stopping: asyncio.Event, **kafka: Any) -> None:
        """Answer asks until told to stop; offsets follow the answers."""
        consumer = AIOKafkaConsumer(
            naming.topic(self._prefix, f"{self._service}.asks"),
            group_id=naming.group(self._prefix, f"{self._service}.relay"),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **kafka,
        )
        await consumer.start()
        try:
            while not stopping.is_set():
                batch = await consumer.getmany(timeout_ms=200, max_records=100)
                if not self._relay.leading:
                    continue
                records = [record for found in batch.values() for record in found]
                for asked in _distinct(records):
                    await self.answer(asked)
                if records:
                    await consumer.commit()
        finally:
            await consumer.stop()

    async def answer(self, asked: ResendAsked) -> int:
        """Send one subject's facts again; how many were sent. Raises NotSent."""
        topic = f"{asked.asker}.resent"
        group = partition_of(str(asked.subject).encode(), await self._publisher.partitions(asked.stream))
        after, sent = asked.after, 0
        while sent < _MOST:
            high = self._relay.high(group)
            rows = await self._database.read(_FACTS, asked.subject, asked.stream, after, high, _PAGE)
            if not rows:
                break
            count = await self._publisher.partitions(topic)
            await self._publisher.send(topic, group % count, [record_of(row, self._source) for row in rows])
            after, sent = rows[-1]["sequence"], sent + len(rows)
        log.info("resent", subject=str(asked.subject), stream=asked.stream, to=asked.asker, facts=sent)
        return sent


def _distinct(records: list[Any]) -> list[ResendAsked]:
    """The asks of a batch, one a subject, stream and asker: the one that has the least; the unreadable are passed."""
    found: dict[tuple[str, str, UUID], ResendAsked] = {}
    for record in records:
        try:
            asked = ResendAsked.read(record.value or b"")
        except ValidationError:
            log.warning("ask_unreadable", offset=record.offset)
            continue
        if asked.asker not in registry.SERVICES:
            continue
        key = asked.asker, asked.stream, asked.subject
        if key not in found or asked.after < found[key].after:
            found[key] = asked
    return list(found.values())


__all__ = ["Answers", "NotSent", "ask"]
