"""Erasing a person: whose document has ended, of them no personal field stays in the journal or in kept answers.

Every service does it for itself, soon after it has heard (or told) the end of the document; doing it again is harmless.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from chassis.database import AWAY, Database, Unavailable
from chassis.history import ERASE

if TYPE_CHECKING:
    from chassis.service import Runtime

_EVERY = 2.0
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_OVERLAP = timedelta(seconds=15)
_AGAIN_AFTER = timedelta(hours=1)
"""Everybody is looked at again this often: a fact about a person may be written after the person was erased."""
_ENDED = (
    "SELECT id, changed_at FROM documents WHERE doc IS NULL AND kind IN ('contact', 'person') AND changed_at > $1 "
    "ORDER BY changed_at"
)
_BECOME = "SELECT set_config('role', rolname, true) FROM pg_roles WHERE rolname = current_schema() || '_eraser'"
_ANSWERS = (
    "UPDATE message_ids SET answer = '{}' WHERE answer IS NOT NULL AND subject IN "
    "(SELECT subject FROM journal WHERE persons @> ARRAY[$1::uuid])"
)

log = structlog.get_logger(__name__)


async def erase(database: Database, person: UUID) -> None:
    """Null everything personal about one person here. Raises what a database that is away raises."""
    async with database.begin() as connection:
        await connection.execute(_ANSWERS, person)
        await connection.execute(_BECOME)
        await connection.execute(ERASE, person)


async def erase_ended(database: Database, since: datetime) -> datetime:
    """Erase everybody whose document has ended since; the time to look from next."""
    latest = since
    for identifier, changed_at in await database.read(_ENDED, since - _OVERLAP if since > _BEGINNING else since):
        with contextlib.suppress(ValueError):
            await erase(database, UUID(identifier))
        latest = max(latest, changed_at)
    return latest


async def run(runtime: "Runtime") -> None:
    """Erase whoever is to be erased, until the process drains."""
    since, again_at = _BEGINNING, asyncio.get_running_loop().time()
    while not runtime.stopping.is_set():
        try:
            if asyncio.get_running_loop().time() >= again_at:
                since, again_at = _BEGINNING, again_at + _AGAIN_AFTER.total_seconds()
            since = await erase_ended(runtime.database, since)
        except (Unavailable, *AWAY) as error:
            log.warning("not_erased_yet", error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runtime.stopping.wait(), _EVERY)
