"""Records that belong to no request which could wait for them: kept whole, told to operators, resolved by them."""

import base64
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg
import orjson

from chassis import applying
from chassis.applying import Filled, columns_of
from chassis.asked import Asked
from chassis.clock import utc_now
from chassis.database import Database
from chassis.decision import Refused
from chassis.hearing import Dead
from chassis.journal import to_json
from chassis.partition import partition_of

_NAMESPACE = UUID("b8a1f9de-4b8b-5a1e-9d0a-5d8f3a3e2c77")
_TOLD_BYTES, _TOLD_HEADERS, _TOLD_KEY = 1 << 20, 128 << 10, 64 << 10
_KEPT = (
    "SELECT d.topic, d.partition, d.kafka_offset FROM unnest($1::text[], $2::int[], $3::bigint[]) u(topic, n, at) "
    "JOIN dead_letters d ON d.topic = u.topic AND d.partition = u.n AND d.kafka_offset = u.at"
)
_LIST = (
    "SELECT id, reason, detail, topic, partition, kafka_offset, subject, first_at, resolved_at, resolution, "
    "encode(value, 'escape') AS value_text FROM dead_letters WHERE id > $1 AND resolved_at IS NULL ORDER BY id LIMIT $2"
)
_RESOLVE = (
    "UPDATE dead_letters SET resolved_at = clock_timestamp(), resolution = $2 "
    "WHERE id = $1 AND resolved_at IS NULL RETURNING id"
)
_OPEN = "SELECT id, headers::text AS headers FROM dead_letters WHERE subject = ANY($1::uuid[]) AND resolved_at IS NULL"
_RECOVERED = "UPDATE dead_letters SET resolved_at = clock_timestamp(), resolution = $2 WHERE id = ANY($1::bigint[])"
RECOVERED = "decided after the backup, as what was told since shows"


class Letter(NamedTuple):
    """A dead record and why it is dead. `topic` is without prefix."""

    dead: Dead
    topic: str
    record: Any


class Original(NamedTuple):
    """What is left of a record that waited."""

    partition: int
    offset: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


async def keep(database: Database, service: str, partitions: int, letters: Sequence[Letter]) -> None:
    """Write dead letters and tell them on `<service>.dead-letters`, in one statement; those kept before are passed."""
    places = [(letter.topic, letter.record.partition, letter.record.offset) for letter in letters]
    kept = {tuple(row) for row in await database.read(_KEPT, *columns_of(places))}
    new = [letter for letter, place in zip(letters, places, strict=True) if place not in kept]
    if new:
        told = [told_row(service, partitions, letter) for letter in new]
        dead = Filled(applying.DEAD, columns_of([_row(letter) for letter in new]))
        sql, arguments = applying.apply_statement([dead], partitions, told)
        await database.execute(sql, *arguments)


async def listed(database: Database, *, after: int, limit: int) -> list[asyncpg.Record]:
    """Dead letters that nobody has resolved, oldest first."""
    return await database.read(_LIST, after, limit)


async def resolve(database: Database, letter: int, reason: str) -> bool:
    """Put a dead letter away with a reason; whether it was open."""
    return bool(await database.read(_RESOLVE, letter, reason))


async def recovered(connection: asyncpg.Connection, subjects: Sequence[UUID], causes: Collection[UUID]) -> None:
    """Put away the letters of these requests that were the cause of something told since: redelivered, and decided."""
    open_ = await connection.fetch(_OPEN, subjects)
    decided = [row["id"] for row in open_ if event_id(row["headers"]) in causes]
    if decided:
        await connection.execute(_RECOVERED, decided, RECOVERED)


def of_refused(asked: Asked, refused: Refused) -> Letter | None:
    """The letter of a heard fact that was refused; None for what never was a record."""
    origin = asked.origin
    if origin is None:
        return None
    key = origin["key"]
    original = Original(
        origin["partition"], origin["offset"], key.encode() if isinstance(key, str) else key, asked.headers or (),
        asked.record,
    )  # fmt: skip
    return Letter(Dead(refused.slug, refused.detail), origin["topic"], original)


def kept_headers(text: str | None) -> list[tuple[str, bytes | None]]:
    """The headers of a kept record, as they came, whether it was dead at once or has waited before."""
    kept = orjson.loads(text) if text else []
    pairs = [(each["name"], each["value"]) if isinstance(each, dict) else each for each in kept]
    return [(name, base64.b64decode(value) if value is not None else None) for name, value in pairs]


def event_id(text: str | None) -> UUID | None:
    """The `ce_id` among kept headers."""
    said = {name: value for name, value in kept_headers(text) if value is not None}
    try:
        return UUID(said["ce_id"].decode())
    except (KeyError, ValueError):
        return None


def _headers_json(record: Any) -> list[dict[str, str | None]]:
    return [{"name": name, "value": _base64(value)} for name, value in record.headers[:1000]]


def _told(value: bytes | None, most: int) -> str | None:
    return None if value is None or len(value) > most else _base64(value)


def _headers_told(record: Any) -> list[dict[str, str | None]]:
    size = sum(len(name) + len(value or b"") for name, value in record.headers)
    return [] if size > _TOLD_HEADERS else _headers_json(record)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _row(letter: Letter) -> tuple[Any, ...]:
    record = letter.record
    return (
        letter.dead.reason, letter.dead.detail, letter.topic, record.partition, record.offset, record.key,
        to_json(_headers_json(record)), record.value, None,
    )  # fmt: skip


def told_row(service: str, partitions: int, letter: Letter) -> tuple[Any, ...]:
    """The row of the journal that tells of a dead letter on `<service>.dead-letters`, without what is too large."""
    record = letter.record
    identifier = uuid5(_NAMESPACE, f"{service}/{letter.topic}/{record.partition}/{record.offset}")
    body = {
        "reason": letter.dead.reason,
        "detail": letter.dead.detail[:2000],
        "original_topic": letter.topic,
        "original_partition": record.partition,
        "original_offset": record.offset,
        "original_key": _told(record.key, _TOLD_KEY),
        "original_headers": _headers_told(record),
        "original_value": _told(record.value, _TOLD_BYTES),
    }
    return (
        partition_of(str(identifier).encode(), partitions), identifier, f"{service}.dead-letters",
        "throughline.dead-letter", 1, str(identifier), identifier, None, utc_now(), '{"kind":"system"}', identifier,
        None, 0, None, None, None, to_json(body), None, None,
    )  # fmt: skip
