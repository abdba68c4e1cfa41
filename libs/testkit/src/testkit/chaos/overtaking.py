"""Zombies: a relay freezes, a second one takes over, and the first wakes up as if nothing had happened."""

import asyncio

from cli.clients import schemas
from testkit.chaos.faults import Fault, Frozen, child_of, ready
from testkit.chaos.operators import another
from testkit.chaos.site import Site
from testkit.eventually import eventually

_TAKEN_WITHIN = 60.0
_SIDE_BY_SIDE = 3.0


class Overtaken(Fault):
    """The second has taken over when the lease has another epoch."""

    def __init__(self, site: Site, service: str) -> None:
        first = site.watch.processes[f"{service}-relay"]
        self.name = f"overtake {first.name}"
        self._site = site
        self._service = service
        self._second = another(first, 2)
        self._frozen = Frozen(site, [first.name])
        self._taken = False

    async def strike(self) -> None:
        """Return once the second has taken over."""
        await asyncio.to_thread(self._site.watch.start, self._second)
        await ready(self._second)
        before = await self._epoch()
        await self._frozen.strike()
        await eventually(lambda: self._leads_since(before), within=_TAKEN_WITHIN, every=0.2)
        self._taken = True

    async def heal(self) -> None:
        """Wake the first, let both go on side by side for a while, and let the second leave in good order."""
        await self._frozen.heal()
        await asyncio.sleep(_SIDE_BY_SIDE)
        self._second.wanted = False
        await asyncio.to_thread(child_of(self._second).stop)
        if self._taken and self._frozen.struck:
            self.proof = f"the second took over while the first was {self._frozen.proof}"

    async def _leads_since(self, epoch: int) -> bool:
        return await self._epoch() > epoch

    async def _epoch(self) -> int:
        async with schemas(self._site.running()) as visits:
            epochs = {name: await connection.fetchval("SELECT epoch FROM relay") async for name, connection in visits}
        return int(epochs[self._service])
