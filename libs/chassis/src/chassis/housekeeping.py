"""What has had its time: answers that nobody can ask for again, letters that were put away, asks that were answered."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from chassis.database import LOST, Database, Unavailable

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_EVERY = 60.0
_SLICE = 5_000
_OLD = (
    "DELETE FROM message_ids WHERE id IN "
    f"(SELECT id FROM message_ids WHERE kept_until < clock_timestamp() LIMIT {_SLICE})",
    "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters "
    f"WHERE resolved_at < clock_timestamp() - interval '30 days' LIMIT {_SLICE})",
    "DELETE FROM asks_sent WHERE asked_at < clock_timestamp() - interval '1 day'",
)


async def run(runtime: "Runtime") -> None:
    """Delete in slices, once a minute, until the process drains; what fails is tried again."""
    while not runtime.stopping.is_set():
        with contextlib.suppress(Unavailable, *LOST):
            await tidy(runtime.database)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runtime.stopping.wait(), _EVERY)


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
