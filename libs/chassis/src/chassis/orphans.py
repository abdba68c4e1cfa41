"""Orphans that a service knows of by itself: what waits in it, is dead, unpublished, or due and not decided.

What never came here, and what came and was decided wrongly, nobody can know from here: that takes the books of all
services, which `throughline reconcile` joins. Every statement is bounded and goes on behind a key; nothing is locked.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
import orjson
from pydantic import BaseModel

from chassis import deadletters, mending, redelivering
from chassis.problems import Problem
from contracts.envelope import BadEnvelope, Headers, from_headers

if TYPE_CHECKING:
    from chassis.service import Runtime

Kind = Literal["dead-letter", "waits", "unsent", "due"]
Row = asyncpg.Record | Mapping[str, Any]

_OLD = "<= statement_timestamp() - make_interval(secs => $2)"
_LETTERS = (
    "SELECT id, reason, detail, topic, partition, kafka_offset, key, headers::text AS headers, value, subject, "
    f"first_at FROM dead_letters WHERE id > $3 AND resolved_at IS NULL AND first_at {_OLD} ORDER BY id LIMIT $1"
)
_WAITING = (
    "SELECT id, subject, kind, stream, sequence, event_id, headers::text AS headers, envelope::text AS envelope, "
    f"reason, detail, first_at FROM waiting WHERE id > $3 AND first_at {_OLD} ORDER BY id LIMIT $1"
)
_OF_JOURNAL = (
    "(SELECT j.grp, j.seq, j.topic, j.type, j.subject, j.sequence, j.event_id, j.occurred_at, j.recorded_at "
    "FROM journal j WHERE j.grp = s.grp AND j.seq > s.after AND j.topic IS NOT NULL "
    f"AND j.recorded_at {_OLD} AND {{}} ORDER BY j.seq LIMIT $1)"
)
_UNSENT = (
    "SELECT u.*, (SELECT lease_until > clock_timestamp() FROM relay) AS held FROM ("
    "SELECT g.grp, coalesce(c.high, 0) AS high, coalesce(c.holes, '{}') AS holes, "
    "CASE WHEN g.grp = $3 THEN $4::bigint ELSE 0 END AS after "
    "FROM generate_series($3::int, $5::int - 1) g(grp) LEFT JOIN relay_cursor c ON c.grp = g.grp) s "
    f"CROSS JOIN LATERAL ({_OF_JOURNAL.format('j.seq = ANY (s.holes)')} UNION ALL "
    f"{_OF_JOURNAL.format('j.seq > s.high')}) u ORDER BY u.grp, u.seq LIMIT $1"
)
"""What the relay has read and not been able to publish is among the holes of its cursor."""
_DUE = (
    f"SELECT at, subject, aggregate FROM wake WHERE at {_OLD} AND (at, subject) > ($3, $4) "
    "ORDER BY at, subject LIMIT $1"
)


class Cause(BaseModel):
    """The fact, or the command by topic, that should have had an effect.

    Of a step inside the service it is the fact that caused it, by its id alone.
    """

    id: UUID
    type: str | None = None
    topic: str | None = None
    sequence: int | None = None
    time: datetime | None = None


class Orphan(BaseModel):
    """What had no effect yet, since when, why, and the one command that mends it.

    `dead-letter`: could not be read, was refused or skipped. `waits`: cannot be decided now, and its request is blocked
    meanwhile. `unsent`: told here and not published. `due`: a moment came and nothing was decided; there is no fact.
    """

    kind: Kind
    subject: UUID | None
    since: datetime
    fact: Cause | None
    why: str
    mend: str


class Found(NamedTuple):
    """A row of one of the sources, and the key that the next page goes on behind."""

    key: tuple[Any, ...]
    row: Row


class _Source(NamedTuple):
    statement: str
    begin: tuple[Any, ...]
    key: Sequence[str]
    view: "Callable[[Runtime, Row], Orphan]"
    more: "Callable[[Runtime], tuple[Any, ...]]" = lambda _: ()


async def listed(runtime: "Runtime", *, after: tuple[Any, ...] | None, limit: int, older_than: float) -> list[Found]:
    """Up to `limit` of them, one kind after the other, from behind a key. What is younger is still on its way."""
    at, behind = _place(after)
    found: list[Found] = []
    for number, source in list(enumerate(_SOURCES))[at:]:
        begin = behind if behind is not None and number == at else source.begin
        rows = await runtime.database.read(
            source.statement, limit - len(found), older_than, *begin, *source.more(runtime)
        )
        found += [Found((number, *(row[name] for name in source.key)), row) for row in rows]
        if len(found) == limit:
            break
    return found


def view(runtime: "Runtime", found: Found) -> Orphan:
    """One as operators see it."""
    return _SOURCES[found.key[0]].view(runtime, found.row)


def _place(after: tuple[Any, ...] | None) -> tuple[int, tuple[Any, ...] | None]:
    """The source that a cursor is in, and the key there; raises the 400 of another list's."""
    if after is None:
        return 0, None
    at, *key = after
    if type(at) is not int or not 0 <= at < len(_SOURCES):
        raise Problem("bad-cursor", "the cursor belongs to another list")
    if [type(each) for each in key] != [type(each) for each in _SOURCES[at].begin]:
        raise Problem("bad-cursor", "the cursor belongs to another list")
    return at, tuple(key)


def _letter(runtime: "Runtime", row: Row) -> Orphan:
    """Decided after all where it is a fact that is heard here, by the judgement of `redelivering` itself."""
    subject, mend = row["subject"], mending.redeliver(runtime.name, row["id"])
    try:
        subject = redelivering.fact_of(runtime, row).subject
    except Exception:  # a letter is data, and may be one that our own code fails on
        mend = mending.put_away(runtime.name, row["id"])
    why = f"dead letter {row['id']}: {mending.said(row['reason'], row['detail'])}"
    fact = _cause(deadletters.kept_headers(row["headers"]), row["topic"])
    return Orphan(kind="dead-letter", subject=subject, since=row["first_at"], fact=fact, why=why, mend=mend)


def _waits(runtime: "Runtime", row: Row) -> Orphan:
    kept = orjson.loads(row["envelope"])
    if row["kind"] == "reaction":
        fact = Cause(id=UUID(kept["causation_id"])) if kept["causation_id"] else None
    else:
        topic = row["stream"] or (kept["origin"] or {}).get("topic")
        fact = _cause(deadletters.kept_headers(row["headers"]), topic) or Cause(
            id=row["event_id"], topic=topic, sequence=row["sequence"]
        )
    why = f"waits: {mending.said(row['reason'], row['detail'])}"
    mend = mending.retry(row["subject"])
    return Orphan(kind="waits", subject=row["subject"], since=row["first_at"], fact=fact, why=why, mend=mend)


def _unsent(runtime: "Runtime", row: Row) -> Orphan:
    """Without a relay, one is to be started; what holds one up that is there, only a look around shows."""
    fact = Cause(
        id=row["event_id"], type=row["type"], topic=row["topic"], sequence=row["sequence"], time=row["occurred_at"]
    )
    why, mend = "not published: no relay holds the lease", mending.start(runtime.name, "relay")
    if row["held"]:
        why, mend = "not published, though a relay holds the lease", mending.LOOK_AROUND
    return Orphan(kind="unsent", subject=row["subject"], since=row["recorded_at"], fact=fact, why=why, mend=mend)


def _due(runtime: "Runtime", row: Row) -> Orphan:
    why = f"{row['aggregate']}: due, and not decided"
    mend = mending.start(runtime.name, "timers")
    return Orphan(kind="due", subject=row["subject"], since=row["at"], fact=None, why=why, mend=mend)


def _cause(headers: Sequence[tuple[str, bytes | None]], topic: str | None) -> Cause | None:
    """What a record says of itself; None when that is nothing that could be told apart."""
    said: Headers = [(name, value) for name, value in headers if value is not None]
    try:
        envelope = from_headers(said)
    except BadEnvelope:
        return None
    return Cause(id=envelope.id, type=envelope.type, topic=topic, sequence=envelope.sequence, time=envelope.time)


_SOURCES = (
    _Source(_LETTERS, (0,), ("id",), _letter),
    _Source(_WAITING, (0,), ("id",), _waits),
    _Source(_UNSENT, (0, 0), ("grp", "seq"), _unsent, lambda runtime: (runtime.settings.partitions,)),
    _Source(_DUE, (datetime.min.replace(tzinfo=UTC), UUID(int=0)), ("at", "subject"), _due),
)
