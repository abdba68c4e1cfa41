"""A service's books for reconciliation: what it told, page by page from its journal, and how far it has heard.

Every statement is bounded and led by an index of the journal or of a small table; nothing is locked, nothing counted
beyond a bound.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from chassis import deadletters
from chassis.aggregate import Aggregate
from chassis.database import Database
from contracts.books import BOOKED, booked

COUNTED = 1_000
"""What waits and what is dead is counted up to here."""
LETTERS = 50
"""At most so many waiting messages and so many dead letters of one request are shown."""

_COLUMNS = (
    "j.seq, j.topic, j.type, j.subject, j.sequence, j.event_id, j.occurred_at, j.recorded_at, "
    "CASE WHEN j.type = ANY($4::text[]) THEN j.data::text END AS data, "
    "coalesce(j.seq <= c.high AND j.seq <> ALL (c.holes), false) AS sent "
    "FROM journal j LEFT JOIN relay_cursor c ON c.grp = j.grp"
)
_OF_PARTITION = f"SELECT {_COLUMNS} WHERE j.grp = $1 AND j.seq > $2 ORDER BY j.seq LIMIT $3"
_OF_SUBJECT = f"SELECT {_COLUMNS} WHERE j.subject = $1 AND j.seq > $2 ORDER BY j.seq LIMIT $3"
_LAST = "SELECT seq FROM journal WHERE grp = $1 ORDER BY seq DESC LIMIT 1"
_FIRST_FROM = "SELECT seq, recorded_at FROM journal WHERE grp = $1 AND seq >= $2 ORDER BY seq LIMIT 1"
_STANDING = """
SELECT clock_timestamp() AS at,
    (SELECT min(u.recorded_at) FROM generate_series(0, $1::int - 1) g(grp) LEFT JOIN relay_cursor c ON c.grp = g.grp
     CROSS JOIN LATERAL (
         (SELECT j.recorded_at FROM journal j
          WHERE j.grp = g.grp AND j.seq = ANY (c.holes) AND j.topic IS NOT NULL ORDER BY j.seq LIMIT 1)
         UNION ALL
         (SELECT j.recorded_at FROM journal j
          WHERE j.grp = g.grp AND j.seq > coalesce(c.high, 0) AND j.topic IS NOT NULL ORDER BY j.seq LIMIT 1)
     ) u) AS unsent_since,
    (SELECT min(at) FROM wake WHERE at <= statement_timestamp()) AS due_since,
    (SELECT count(*) FROM (SELECT 1 FROM waiting LIMIT $2) w) AS waiting,
    (SELECT first_at FROM waiting ORDER BY id LIMIT 1) AS waiting_since,
    (SELECT count(*) FROM (SELECT 1 FROM dead_letters WHERE resolved_at IS NULL LIMIT $2) d) AS dead_letters
"""
_ROW = "SELECT r.sequence, r.heard::text AS heard, r.blocked FROM {table} r WHERE r.id = $1"
_WAITING = (
    "SELECT id, kind, stream, sequence, event_id, reason, detail, attempts, first_at, next_at FROM waiting "
    "WHERE subject = $1 ORDER BY kind = 'command', id LIMIT $2"
)
_LETTERS = (
    "SELECT id, reason, detail, headers::text AS headers, first_at, resolved_at, resolution FROM dead_letters "
    "WHERE topic = ANY($1::text[]) AND partition = $2 AND subject = $3 ORDER BY id DESC LIMIT $4"
)


async def of_partition(database: Database, partition: int, *, after: int, limit: int) -> list[asyncpg.Record]:
    """Rows of one partition's journal in order; the bodies of those alone that go into the books."""
    return await database.read(_OF_PARTITION, partition, after, limit, list(BOOKED))


async def of_subject(database: Database, subject: UUID, *, after: int, limit: int) -> list[asyncpg.Record]:
    """The same for one request."""
    return await database.read(_OF_SUBJECT, subject, after, limit, list(BOOKED))


async def before(database: Database, partition: int, since: datetime) -> int:
    """A number of a partition's journal: what was recorded since then has a higher one.

    Numbers grow with the time of recording, so it is found by halving: some thirty reads of one row each.
    """
    last = await database.read(_LAST, partition)
    low, high = 1, (last[0]["seq"] if last else 0) + 1
    while low < high:
        middle = (low + high) // 2
        found = await database.read(_FIRST_FROM, partition, middle)
        if not found or found[0]["recorded_at"] >= since:
            high = middle
        else:
            low = found[0]["seq"] + 1
    return low - 1


async def standing(database: Database, partitions: int) -> asyncpg.Record:
    """What of this service is still on its way, as far as its schema knows."""
    return (await database.read(_STANDING, partitions, COUNTED))[0]


async def row_of(database: Database, aggregate: Aggregate[Any], subject: UUID) -> asyncpg.Record | None:
    """How far one request's aggregate has told and heard; None when it is not here."""
    rows = await database.read(_ROW.format(table=aggregate.table.name), subject)
    return rows[0] if rows else None


async def waiting_of(database: Database, subject: UUID) -> list[asyncpg.Record]:
    """What waits for one request, clients' commands last: they hold up no fact, and may be many."""
    return await database.read(_WAITING, subject, LETTERS)


async def letters_of(
    database: Database, topics: Sequence[str], partition: int, subject: UUID
) -> list[tuple[UUID | None, asyncpg.Record]]:
    """Dead letters of one request with the ids of the facts they were, those put away too, the latest first."""
    rows = await database.read(_LETTERS, list(topics), partition, subject, LETTERS)
    return [(deadletters.event_id(row["headers"]), row) for row in rows]


def body_of(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a row's body that go into the books."""
    if row["data"] is None:
        return {}
    return booked(row["type"], orjson.loads(row["data"]))
