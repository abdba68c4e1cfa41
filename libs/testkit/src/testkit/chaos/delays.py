"""What one service tells comes half a minute later than what the others tell: topics reordered against each other."""

import asyncio
import os
import signal
import time

from cli.clients import schemas
from testkit.chaos.faults import Fault, child_of, state_of
from testkit.chaos.site import Site
from testkit.eventually import eventually

DELAY = 30.0
BEHIND = (
    "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - j.recorded_at)), 0)::float, count(*) "
    "FROM relay_cursor c CROSS JOIN LATERAL ("
    "SELECT recorded_at, topic FROM journal WHERE grp = c.grp AND seq > c.high UNION ALL "
    "SELECT recorded_at, topic FROM journal WHERE grp = c.grp AND seq = ANY(c.holes)) j WHERE j.topic IS NOT NULL"
)
"""How old the oldest fact of a schema is that is not published, and how many there are."""
_PASSED = "SELECT coalesce(sum(high), 0) FROM relay_cursor"


class Delayed(Fault):
    """A relay stands still for half a minute; its facts come all at once then, behind those of every other service."""

    def __init__(self, site: Site, service: str) -> None:
        self.name = f"delay what {service} tells"
        self._site = site
        self._service = service
        self._pid = 0
        self._since = 0.0
        self._others = 0

    async def strike(self) -> None:
        self._pid = child_of(self._site.watch.processes[f"{self._service}-relay"]).pid
        os.kill(self._pid, signal.SIGSTOP)
        await eventually(lambda: state_of(self._pid) == "T", within=5)
        self._since, self._others = time.monotonic(), await self._passed_by_others()

    async def heal(self) -> None:
        """Half a minute after it struck at the earliest."""
        await asyncio.sleep(max(0.0, self._since + DELAY - time.monotonic()))
        oldest, left = await self._behind()
        others = await self._passed_by_others() - self._others
        if state_of(self._pid) == "T" and left and others:
            self.proof = f"{left} facts, the oldest {oldest:.0f} s old, came behind {others} of the others"
        os.kill(self._pid, signal.SIGCONT)

    async def _behind(self) -> tuple[float, int]:
        async with schemas(self._site.running()) as visits:
            found = {name: await connection.fetchrow(BEHIND) async for name, connection in visits}
        row = found[self._service]
        assert row is not None
        return float(row[0]), int(row[1])

    async def _passed_by_others(self) -> int:
        async with schemas(self._site.running()) as visits:
            passed = {name: int(await connection.fetchval(_PASSED)) async for name, connection in visits}
        return sum(n for name, n in passed.items() if name != self._service)
