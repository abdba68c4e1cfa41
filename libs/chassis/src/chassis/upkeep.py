"""What the relay's process does by the way: partitions of the journal ahead of time, and the age of what is unsent."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import asyncpg
import structlog

from chassis import telemetry
from chassis.database import AWAY, Database, Unavailable

if TYPE_CHECKING:
    from chassis.relay import Relay

log = structlog.get_logger(__name__)

MONTHS_AHEAD = 2
_LOOK_EVERY = 2.0
_PARTITIONS_EVERY = 3600.0
_AHEAD = (
    "SELECT journal_partition((date_trunc('month', clock_timestamp()) + make_interval(months => n))::date) "
    "FROM generate_series(0, $1::int) AS n"
)
_ASTRAY = "SELECT n_live_tup > 0 FROM pg_stat_all_tables WHERE relid = 'journal_default'::regclass"
"""By the statistics: the relay's login has no right to a partition by itself."""


async def partitions_ahead(database: Database) -> None:
    """Make this month's partition and those of the next two, where they are missing. Raises Unavailable."""
    await database.read(_AHEAD, MONTHS_AHEAD)
    if (await database.read(_ASTRAY))[0][0]:
        log.error("journal_rows_without_partition")


async def run(database: Database, relay: "Relay", stopping: asyncio.Event) -> None:
    """Look after both until told to stop; a database that is away is asked again."""
    partitions_at = 0.0
    while not stopping.is_set():
        try:
            telemetry.RELAY_OLDEST_UNSENT_SECONDS.set(await relay.oldest_unsent())
            if time.monotonic() >= partitions_at:
                await partitions_ahead(database)
                partitions_at = time.monotonic() + _PARTITIONS_EVERY
        except (Unavailable, asyncpg.PostgresError, *AWAY) as error:
            log.warning("upkeep_waits", error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_EVERY)
