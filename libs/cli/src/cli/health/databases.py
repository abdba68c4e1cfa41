"""A service's schema: its revision, what is not yet sent, what is due, what waits, what nobody could read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from chassis import mending
from chassis.schema import revisions
from cli.health.finding import OK, WATCH, WRONG, Finding

UNSENT_WATCH, UNSENT_WRONG = timedelta(seconds=5), timedelta(seconds=60)
WAKE_WATCH, WAKE_WRONG = timedelta(seconds=5), timedelta(seconds=60)

_REVISION = "SELECT version_num FROM alembic_version"
_UNSENT = """
SELECT count(*) AS facts, min(j.recorded_at) AS oldest FROM journal j LEFT JOIN relay_cursor c ON c.grp = j.grp
WHERE j.topic IS NOT NULL AND (j.seq > coalesce(c.high, 0) OR j.seq = ANY(c.holes))
"""
_HOLDER = "SELECT holder, lease_until > clock_timestamp() AS held FROM relay"
_WAKE = "SELECT count(*) AS timers, min(at) AS oldest FROM wake WHERE at <= clock_timestamp()"
_WAITING = """
SELECT reason, count(*) AS messages, count(DISTINCT subject) AS requests, min(first_at) AS oldest,
       bool_or(next_at IS NULL AND reason <> 'behind') AS stuck
FROM waiting GROUP BY reason ORDER BY reason
"""
_DEAD = "SELECT count(*) AS letters, min(first_at) AS oldest FROM dead_letters WHERE resolved_at IS NULL"


async def look(connection: asyncpg.Connection, service: str) -> list[Finding]:
    """Everything about the schema that the connection is in."""
    try:
        at = await connection.fetchval(_REVISION)
    except asyncpg.UndefinedTableError:
        return [revision(service, None)]
    now = await connection.fetchval("SELECT clock_timestamp()")
    waits = await connection.fetch(_WAITING)
    return [
        revision(service, at),
        unsent(service, await connection.fetchrow(_UNSENT), await connection.fetchrow(_HOLDER), now),
        due(service, await connection.fetchrow(_WAKE), now),
        *waiting(service, waits),
        dead(service, await connection.fetchrow(_DEAD)),
    ]


def revision(service: str, found: str | None) -> Finding:
    """Whether the schema is where this release needs it."""
    known = revisions(f"{service}.migrations")
    if found == known[0]:
        return Finding(service, "schema", OK, f"revision {found}")
    if found is not None and found not in known:
        return Finding(
            service, "schema", WATCH, f"revision {found} is newer than {known[0]} here", "use the newer release"
        )
    said = f"revision {found or 'none'}, {known[0]} is needed"
    return Finding(service, "schema", WRONG, said, "run `throughline provision`")


def unsent(service: str, facts: Any, relay: Any, now: datetime) -> Finding:
    """How old the oldest fact is that the relay has not published."""
    if not facts["facts"]:
        return Finding(service, "unsent facts", OK, "none")
    age = now - facts["oldest"]
    said = f"{facts['facts']}, the oldest {_age(age)} old"
    if not relay["held"]:
        do = f"no relay holds the lease: start `{mending.start(service, 'relay')}`"
    else:
        do = f"relay {relay['holder']} does not get rid of them: look at its log, and whether Kafka answers"
    return Finding(service, "unsent facts", *_graded(age, UNSENT_WATCH, UNSENT_WRONG, said, do))


def due(service: str, timers: Any, now: datetime) -> Finding:
    """How late the latest timer is."""
    if not timers["timers"]:
        return Finding(service, "due timers", OK, "none")
    age = now - timers["oldest"]
    said = f"{timers['timers']}, the oldest {_age(age)} late"
    do = f"start `{mending.start(service, 'timers')}`, or more of them"
    return Finding(service, "due timers", *_graded(age, WAKE_WATCH, WAKE_WRONG, said, do))


def waiting(service: str, rows: list[Any]) -> Iterator[Finding]:
    """What waits, by reason; wrong when only an operator can decide it."""
    if not rows:
        yield Finding(service, "waiting", OK, "nothing")
    for row in rows:
        said = f"{row['messages']} of {row['requests']} request(s) since {row['oldest']:%Y-%m-%d %H:%M:%S}"
        if row["stuck"]:
            do = "`throughline waiting list`, mend the cause, then `waiting retry` or `waiting skip`"
            yield Finding(service, f"waiting: {row['reason']}", WRONG, said, do)
        else:
            yield Finding(service, f"waiting: {row['reason']}", WATCH, said, "it is tried again by itself")


def dead(service: str, letters: Any) -> Finding:
    """Records that nobody could read."""
    if not letters["letters"]:
        return Finding(service, "dead letters", OK, "none")
    said = f"{letters['letters']} since {letters['oldest']:%Y-%m-%d %H:%M:%S}"
    do = "`throughline waiting letters`, then `waiting resolve` each with a reason"
    return Finding(service, "dead letters", WATCH, said, do)


def _graded(age: timedelta, watch: timedelta, wrong: timedelta, said: str, do: str) -> tuple[str, str, str]:
    if age > wrong:
        return WRONG, said, do
    return (WATCH, said, do) if age > watch else (OK, said, "")


def _age(age: timedelta) -> str:
    seconds = age.total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
