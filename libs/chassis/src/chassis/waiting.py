"""Messages that cannot be decided now: read back, listed, retried and skipped (architecture, section 5)."""

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog
from pydantic import TypeAdapter

from chassis.asked import Asked, Undecodable
from chassis.database import Database
from chassis.decision import Actor, Refused

DUE = (
    "SELECT aggregate, subject FROM waiting WHERE aggregate = ANY($1::text[]) AND next_at <= statement_timestamp() "
    "GROUP BY aggregate, subject ORDER BY min(next_at) LIMIT $2"
)
AT_ONCE = 8 << 20
"""Bytes of what waits for one request that are read at a time; one message is, whatever its size."""
PAGE = 500
"""And messages, of those with a number and of those without."""
_OF_SUBJECT = (
    "SELECT r.* FROM (SELECT o.*, sum(o.bytes) OVER page AS so_far, row_number() OVER page AS place FROM ("
    "SELECT w.*, w.kind = 'command' AS last, min(w.id) OVER (PARTITION BY w.stream) AS first_id, "
    "coalesce(octet_length(w.record), 0) + coalesce(pg_column_size(w.headers), 0) AS bytes FROM waiting w "
    "WHERE w.aggregate = $1 AND w.subject = $2 AND (w.stream IS NOT NULL OR w.next_at <= statement_timestamp())) o "
    "WINDOW page AS (PARTITION BY o.stream IS NULL ORDER BY o.last, o.first_id, o.sequence, o.id)) r "
    "WHERE r.place <= $4 AND (r.so_far <= $3 OR r.so_far = r.bytes) ORDER BY r.last, r.first_id, r.sequence, r.id"
)
"""Clients' commands last: however many wait, what other services told is read.

What has no number has no order to keep: it is read when it is due, whatever else waits.
"""
_PUT_OFF = (
    "UPDATE waiting SET next_at = clock_timestamp() + interval '1 s' WHERE aggregate = $1 AND subject = $2 "
    "AND stream IS NOT NULL AND next_at <= statement_timestamp() AND id <> ALL($3::bigint[])"
)
_LIST = (
    "SELECT id, aggregate, subject, kind, stream, sequence, reason, detail, attempts, next_at, first_at, "
    "message::text, encode(record, 'escape') AS record_text FROM waiting "
    "WHERE ($1::uuid IS NULL OR subject = $1) AND id > $2 ORDER BY id LIMIT $3"
)
_RETRY = "UPDATE waiting SET next_at = clock_timestamp(), attempts = 0 WHERE subject = $1 RETURNING id"
_NEWER = "UPDATE waiting SET next_at = clock_timestamp(), attempts = 0 WHERE reason = 'version-unknown'"

Revive = Callable[[asyncpg.Record], Asked]

log = structlog.get_logger(__name__)


class NothingWaits(Refused):
    """No message of this request waits here."""

    slug = "nothing-waits"
    status = 404


async def of_subject(database: Database, aggregate: str, subject: UUID) -> list[asyncpg.Record]:
    """What waits for one request, in the order in which it must be decided: the first messages of it."""
    return await database.read(_OF_SUBJECT, aggregate, subject, AT_ONCE, PAGE)


async def put_off(database: Database, aggregate: str, subject: UUID, but: Iterable[int]) -> None:
    """Let what is due on a stream of a request be tried in a second, but for these: it lies beyond them."""
    await database.execute(_PUT_OFF, aggregate, subject, list(but))


async def listed(database: Database, *, subject: UUID | None, after: int, limit: int) -> list[asyncpg.Record]:
    """What waits, oldest first, with its reason and its bytes as text."""
    return await database.read(_LIST, subject, after, limit)


async def retry(database: Database, subject: UUID) -> int:
    """Let everything that waits for a request be tried now; how many messages that are. Raises NothingWaits."""
    rows = await database.read(_RETRY, subject)
    if not rows:
        raise NothingWaits(f"nothing waits for {subject}", subject=str(subject))
    return len(rows)


async def read_anew(database: Database) -> None:
    """Let what was of a newer version than its reader be tried now, and often: this release may be the one it needs."""
    await database.execute(_NEWER)


def envelope(row: Mapping[str, Any]) -> dict[str, Any]:
    """A waiting message's envelope as `Asked` takes it."""
    kept = orjson.loads(row["envelope"])
    actor = kept["actor"]
    return {
        "id": row["event_id"],
        "actor": Actor(actor["kind"], UUID(actor["id"]) if actor["id"] else None, frozenset(actor["rights"])),
        "correlation_id": UUID(kept["correlation_id"]),
        "causation_id": UUID(kept["causation_id"]) if kept["causation_id"] else None,
        "hop": kept["hop"],
        "traceparent": kept["traceparent"],
        "at": datetime.fromisoformat(kept["at"]),
        "reply_to": kept["reply_to"],
        "origin": kept["origin"],
        "waiting_id": row["id"],
        "waited_since": row["first_at"],
        "waited_for": row["reason"],
        "next_at": row["next_at"],
        "attempts": row["attempts"],
    }


def headers(row: Mapping[str, Any]) -> list[tuple[str, bytes | None]] | None:
    """A waiting record's headers, as they came."""
    if row["headers"] is None:
        return None
    return [
        (name, base64.b64decode(value) if value is not None else None) for name, value in orjson.loads(row["headers"])
    ]


def revived(revive: Revive, row: Any) -> Asked:
    """A waiting message read again. One that cannot be read holds up nobody else: it waits on, for an operator."""
    try:
        return revive(row)
    except Exception as error:
        log.exception("waiting_not_readable", waiting_id=row["id"], subject=str(row["subject"]))
        return Asked(
            subject=row["subject"], message=Undecodable("error", f"{type(error).__name__}: {error}"),
            record=row["record"], stream=row["stream"], sequence=row["sequence"], **envelope(row),
        )  # fmt: skip


class Reactions:
    """Reads back the messages that facts caused for other aggregates."""

    def __init__(self, classes: Mapping[str, type[Any]]) -> None:
        self._adapters = {name: TypeAdapter(cls) for name, cls in classes.items()}

    def revive(self, row: Mapping[str, Any]) -> Asked:
        """The message of a row of kind `reaction`."""
        kept = orjson.loads(row["message"])
        message = self._adapters[kept["name"]].validate_python(kept["message"])
        return Asked(subject=row["subject"], message=message, **envelope(row))
