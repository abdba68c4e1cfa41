"""Old months of the journal: dropped when the installation says so and nothing needs them any more.

A month is needed while the relay has a row of it to publish, and while a fact of it is about something that this
service still keeps: its state is the fold of its facts, and erasing a person folds it anew (`chassis.erasing`).
"""

from collections.abc import Sequence
from datetime import date

import asyncpg
import structlog

from chassis.database import Database

log = structlog.get_logger(__name__)

_OLD = (
    "SELECT to_date(right(c.relname, 7), 'YYYY_MM') AS month FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    r"WHERE i.inhparent = 'journal'::regclass AND c.relname ~ '^journal_\d{4}_\d{2}$' "
    "AND to_date(right(c.relname, 7), 'YYYY_MM') < date_trunc('month', now()) - make_interval(months => $1) ORDER BY 1"
)
_WITHIN = (
    "j.recorded_at >= date_trunc('month', $1::date) "
    "AND j.recorded_at < date_trunc('month', $1::date) + interval '1 month'"
)
_UNPUBLISHED = (
    "SELECT EXISTS (SELECT 1 FROM relay_cursor c JOIN journal j "
    f"ON j.grp = c.grp AND (j.seq > c.high OR j.seq = ANY(c.holes)) WHERE {_WITHIN})"
)
_KEPT = f"SELECT EXISTS (SELECT 1 FROM journal j JOIN {{table}} a ON a.id = j.subject WHERE {_WITHIN})"
_PATIENCE = "200ms"
"""Everybody who writes waits behind a drop that waits: it gives up soon, and is tried again later."""
_DROP = "SELECT journal_partition_drop($1::date)"


async def drop_old_months(database: Database, keep: int, tables: Sequence[str]) -> list[date]:
    """Drop months that lie more than `keep` whole months back and are not needed; 0 keeps all. The months dropped.

    `tables` are those of the service's aggregates. Raises Unavailable.
    """
    if keep == 0:
        return []
    months = [row["month"] for row in await database.read(_OLD, keep)]
    return [month for month in months if await drop_month(database, month, tables)]


async def drop_month(database: Database, month: date, tables: Sequence[str]) -> bool:
    """Drop the partition of a past month (a date in it), unless a row of it is needed; whether it did."""
    if await _is_needed(database, month, tables):
        return False
    try:
        async with database.begin(lock_timeout=_PATIENCE) as connection:
            dropped = bool(await connection.fetchval(_DROP, month))
    except asyncpg.LockNotAvailableError:
        log.info("journal_month_busy", month=f"{month:%Y-%m}")
        return False
    if dropped:
        log.info("journal_month_dropped", month=f"{month:%Y-%m}")
    return dropped


async def _is_needed(database: Database, month: date, tables: Sequence[str]) -> bool:
    for query in (_UNPUBLISHED, *(_KEPT.format(table=table) for table in tables)):
        if (await database.read(query, month))[0][0]:
            return True
    return False
