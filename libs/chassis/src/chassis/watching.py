"""Ages that no event reports: what is not published yet, and what waits; looked at every five seconds."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from chassis import telemetry
from chassis.database import Unavailable
from chassis.lease import HOLES, OLDEST

if TYPE_CHECKING:
    from chassis.service import Runtime

_EVERY = 5.0
_WAITS = (
    "SELECT reason, count(*)::int AS messages, extract(epoch FROM clock_timestamp() - min(first_at))::float AS age "
    "FROM waiting GROUP BY reason"
)


_OVERDUE = "SELECT greatest(extract(epoch FROM clock_timestamp() - min(at)), 0)::float AS age FROM wake"
_DEAD = "SELECT count(*)::int AS letters FROM (SELECT FROM dead_letters WHERE resolved_at IS NULL LIMIT 1000) AS open"


async def run(runtime: "Runtime") -> None:
    """Keep the gauges up to date until the process drains; while the database is away they stay as they were."""
    while not runtime.stopping.is_set():
        with contextlib.suppress(Unavailable):
            await look(runtime)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runtime.stopping.wait(), _EVERY)


async def look(runtime: "Runtime") -> None:
    """Read the ages once. Raises Unavailable."""
    (unsent,) = await runtime.database.read(OLDEST)
    telemetry.RELAY_OLDEST_UNSENT_SECONDS.set(unsent["age"] or 0.0)
    (missed,) = await runtime.database.read(HOLES)
    telemetry.RELAY_HOLES.set(missed["holes"])
    waits = await runtime.database.read(_WAITS)
    telemetry.WAITING_MESSAGES.clear()
    for row in waits:
        telemetry.WAITING_MESSAGES.labels(row["reason"]).set(row["messages"])
    telemetry.WAITING_OLDEST_SECONDS.set(max((row["age"] for row in waits), default=0.0))
    (overdue,) = await runtime.database.read(_OVERDUE)
    telemetry.AGENDA_OVERDUE_SECONDS.set(overdue["age"] or 0.0)
    (dead,) = await runtime.database.read(_DEAD)
    telemetry.DEAD_LETTERS_OPEN.set(dead["letters"])
