"""Gaps mended, the reader's side: what is missing is asked for on `<producer>.asks`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import orjson
import structlog

from chassis import applying, books
from chassis.asked import Outcome
from chassis.clock import utc_now
from chassis.database import Database
from chassis.ids import new_id
from chassis.journal import to_json
from chassis.partition import partition_of

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_AGAIN_AFTER = 10.0
"""Seconds in which nobody asks the same again."""
_NOTED = (
    "INSERT INTO asks_sent (subject, topic, asked_at) VALUES ($1, $2, clock_timestamp()) "
    "ON CONFLICT (subject, topic) DO UPDATE SET asked_at = excluded.asked_at "
    f"WHERE asks_sent.asked_at < clock_timestamp() - interval '{_AGAIN_AFTER} seconds' RETURNING 1"
)


async def ask(database: Database, service: str, partitions: int, subject: UUID, stream: str, after: int) -> bool:
    """Ask a stream's producer for what follows `after`; at most once in ten seconds for a subject and stream."""
    if not await database.read(_NOTED, subject, stream):
        return False
    await _tell(database, service, partitions, stream, subject, after)
    log.info("resend_asked", subject=str(subject), stream=stream, after=after)
    return True


async def missing(runtime: "Runtime", subject: UUID) -> dict[str, int]:
    """Ask, on every stream heard, for what follows one request's positions; the positions asked after, by stream.

    What comes is heard in its order like the stream itself, and what is known already is passed over.
    """
    stream, database = runtime.service.stream, runtime.database
    if stream is None:
        return {}
    row = await books.row_of(database, stream.into, subject)
    heard = {} if row is None else orjson.loads(row["heard"])
    after = {topic: int(heard.get(topic, 0)) for topic in stream.topics}
    partitions = runtime.settings.partitions
    return {
        topic: last
        for topic, last in after.items()
        if await ask(database, runtime.name, partitions, subject, topic, last)
    }


async def bootstrap(database: Database, service: str, partitions: int, streams: Iterable[str]) -> None:
    """Ask the producers of these streams for everything they ever told: what a service does that starts late.

    It comes marked as history (`Meta.history`). Safe to repeat: what is known already is passed over.
    """
    for stream in streams:
        await _tell(database, service, partitions, stream, None, 0)
        log.info("bootstrap_asked", stream=stream)


async def _tell(
    database: Database, service: str, partitions: int, stream: str, subject: UUID | None, after: int
) -> None:
    identifier = new_id()
    key = subject or identifier
    body = {"asker": service, "stream": stream, "subject": subject, "after": after}
    row = (
        partition_of(str(key).encode(), partitions), identifier, f"{stream.split('.')[0]}.asks",
        "throughline.resend-asked", 1, str(key), key, None, utc_now(), '{"kind":"system"}', identifier, None, 0, None,
        None, None, to_json(body), None, None,
    )  # fmt: skip
    sql, arguments = applying.apply_statement([], partitions, [row])
    await database.execute(sql, *arguments)


class Asking:
    """The reader's side: asks for what is missing, whoever of its processes found out."""

    def __init__(self, database: Database, service: str, partitions: int) -> None:
        self._database = database
        self._service = service
        self._partitions = partitions

    async def after(self, outcomes: Sequence[Outcome]) -> None:
        """Ask for what these messages found missing, one ask a request and stream. Raises Unavailable."""
        gaps = {(outcome.subject, outcome.gap[0]): outcome.gap[1] for outcome in outcomes if outcome.gap is not None}
        for (subject, stream), after in gaps.items():
            await ask(self._database, self._service, self._partitions, subject, stream, after)
