"""How far this process's clock is from the database's, by which everything is decided; compared every five seconds."""

import asyncio
import contextlib
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg

from chassis import telemetry
from chassis.clock import utc_now
from chassis.database import Database, Unavailable

if TYPE_CHECKING:
    from chassis.service import Runtime

_EVERY = 5.0
_NO_LATER = 1.0
"""Seconds after which an answer says too little: nobody knows when in between it was true."""
_NOW = "SELECT clock_timestamp() AS now"
_last = timedelta(0)
"""What was found last, for this process."""


async def run(runtime: "Runtime") -> None:
    """Keep the gauge up to date until the process drains; while the database gives no answer it stays as it was."""
    while not runtime.stopping.is_set():
        with contextlib.suppress(Unavailable, asyncpg.PostgresError):
            await look(runtime.database)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runtime.stopping.wait(), _EVERY)


async def look(database: Database) -> None:
    """Compare once; an answer that took more than a second leaves the gauge as it was. Raises Unavailable."""
    global _last
    asked = time.monotonic()
    (row,) = await database.read(_NOW)
    found = ahead(utc_now(), row["now"], time.monotonic() - asked)
    if found is not None:
        telemetry.CLOCK_SKEW_SECONDS.set(found)
        _last = timedelta(seconds=found)


def database_time() -> datetime:
    """The database's time now, by what was found last; this process's own before that. For ages in metrics."""
    return utc_now() - _last


def ahead(ours: datetime, theirs: datetime, took: float) -> float | None:
    """Seconds by which our clock is ahead of theirs, which was read at some moment of the `took` seconds before ours.

    That moment is taken to be the middle, so the result is wrong by half of `took` at the most. None: it took too long.
    """
    return None if took > _NO_LATER else (ours - theirs).total_seconds() - took / 2
