"""What has had its time: kept answers, letters put away, asks that were answered, months of the journal.

And rows of an old shape are folded anew, documents told again.
"""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import structlog

from chassis.database import AWAY, LOST, Database, Unavailable
from chassis.refolding import Reshaping
from chassis.retelling import tell_again
from chassis.retention import drop_old_months

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_EVERY = 60.0
_HOURLY = 3600.0
_PAGE_EVERY = 1.0
_SLICE = 5_000
_OLD = (
    "DELETE FROM message_ids WHERE id = ANY(ARRAY"
    f"(SELECT id FROM message_ids WHERE kept_until < statement_timestamp() ORDER BY kept_until LIMIT {_SLICE}))",
    "DELETE FROM dead_letters WHERE id = ANY(ARRAY(SELECT id FROM dead_letters "
    f"WHERE resolved_at < statement_timestamp() - interval '30 days' LIMIT {_SLICE}))",
    "DELETE FROM asks_sent WHERE asked_at < statement_timestamp() - interval '1 day'",
)
"""By the statement's time, which stands still: an index cannot be searched for a time that moves on."""


async def run(runtime: "Runtime") -> None:
    """Tidy once a minute, do the rest once an hour, until the process drains; what fails is tried again."""
    await asyncio.gather(_tidying(runtime), _reshaping(runtime))


async def _tidying(runtime: "Runtime") -> None:
    hourly_at = 0.0
    while not runtime.stopping.is_set():
        with contextlib.suppress(Unavailable, *AWAY, *LOST):
            await tidy(runtime.database)
            if time.monotonic() >= hourly_at:
                await _months(runtime)
                await tell_again(runtime.database, runtime.name, runtime.settings.partitions)
                hourly_at = time.monotonic() + _HOURLY
        await _pause(runtime, _EVERY)


async def _reshaping(runtime: "Runtime") -> None:
    reshaping = Reshaping(runtime.database, runtime.service.aggregates)
    while not runtime.stopping.is_set():
        looked = 0
        with contextlib.suppress(Unavailable, *AWAY, *LOST):
            looked = await reshaping.page()
        await _pause(runtime, _PAGE_EVERY if looked else _HOURLY)


async def _pause(runtime: "Runtime", seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(runtime.stopping.wait(), seconds)


async def _months(runtime: "Runtime") -> None:
    tables = [aggregate.table.name for aggregate in runtime.service.aggregates]
    await drop_old_months(runtime.database, runtime.settings.journal_months, tables)


async def tidy(database: Database) -> int:
    """Delete everything that has had its time; how many rows that were. Raises Unavailable."""
    deleted = 0
    for statement in _OLD:
        while True:
            gone = int((await database.execute(statement)).rpartition(" ")[2])
            deleted += gone
            if gone < _SLICE:
                break
    if deleted:
        log.info("tidied", rows=deleted)
    return deleted
