"""A dead letter decided after all: an operator lets what became one through passing circumstances be tried again."""

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import structlog

from chassis import deadletters, naming
from chassis.asked import Asked
from chassis.decision import Refused
from chassis.problems import Problem
from chassis.stream import ear_of
from chassis.writing import envelope_of, headers_json

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_LETTER = (
    "SELECT topic, partition, kafka_offset, key, headers::text AS headers, value, subject FROM dead_letters "
    "WHERE id = $1 AND resolved_at IS NULL"
)
_MOVED = (
    "WITH letter AS (DELETE FROM dead_letters WHERE id = $1 AND resolved_at IS NULL RETURNING id) "
    "INSERT INTO waiting (aggregate, subject, event_id, kind, headers, record, envelope, reason, detail, stream, "
    "sequence, next_at, first_at) SELECT $2, $3, $4, 'stream', $5::json, $6, $7::json, 'redelivered', $8, $9, $10, "
    "clock_timestamp(), clock_timestamp() FROM letter ON CONFLICT (subject, event_id, kind) DO NOTHING"
)


class NotAFact(Refused):
    """It is no fact of a stream heard here: whoever sent it has to send it again."""

    slug = "not-a-fact"


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None


async def redeliver(runtime: "Runtime", letter: int, reason: str) -> UUID:
    """Move a dead letter back among what waits, in one statement; it is decided next. Returns the request.

    One that was refused or skipped keeps no place on its stream, since its request has gone past it: it is decided
    once, after what came later. One that could not be read keeps its place, which another copy of it may have taken
    since: then nothing more happens. It waits or becomes a dead letter like any message. Raises NotAFact, and the 404
    for a letter that is not open.
    """
    rows = await runtime.database.read(_LETTER, letter)
    if not rows:
        raise Problem("not-found")
    asked = fact_of(runtime, rows[0])
    stream = runtime.service.stream
    assert stream is not None
    passed = rows[0]["subject"] is not None
    place = (None, None) if passed else (asked.stream, asked.sequence)
    await runtime.database.execute(
        _MOVED, letter, stream.into.name, asked.subject, asked.id, headers_json(asked), asked.record,
        envelope_of(asked), reason, *place,
    )  # fmt: skip
    log.info("dead_letter_redelivered", letter=letter, subject=str(asked.subject), reason=reason)
    return asked.subject


def fact_of(runtime: "Runtime", row: Any) -> Asked:
    """A letter's record, read as its worker would. Raises NotAFact."""
    stream = runtime.service.stream
    heard = () if stream is None else (*stream.topics, f"{runtime.name}.resent")
    if row["topic"] not in heard:
        raise NotAFact("it came on no stream that is heard here")
    headers = deadletters.kept_headers(row["headers"])
    topic = naming.topic(runtime.prefix, row["topic"])
    found = ear_of(runtime).decode(
        _Record(topic, row["partition"], row["kafka_offset"], row["key"], headers, row["value"])
    )
    if not isinstance(found, Asked):
        raise NotAFact(getattr(found, "detail", "it is no fact"))
    return found
