"""Zombies: a relay or a worker freezes, a second one takes over, and the first wakes up as if nothing had happened."""

import asyncio
import contextlib

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from cli.clients import schemas
from testkit.chaos.faults import Fault, Frozen, child_of, ready, said_since
from testkit.chaos.operators import Shares, another, shares
from testkit.chaos.places import PausedAt
from testkit.chaos.site import Site
from testkit.eventually import eventually

_TAKEN_WITHIN = 60.0
_SIDE_BY_SIDE = 3.0
_IN_HAND_WITHIN = 90.0
"""Seconds until a worker that was started anew stands at its failpoint: on a busy machine its group takes long."""
_HOLDS = 10.0
"""Seconds that a worker stands at its failpoint by itself: until it is seen there, and frozen."""
_REFUSED = "CommitFailedError"
"""What a worker's log holds for every commit of offsets that the group did not accept from it."""
IN_HAND = ("batch.decided", "commit.before", "commit.after", "offsets.before")
"""Failpoints at which a worker has a batch in its hands: not written, written, or written and not acknowledged."""

Given = dict[str, set[TopicPartition]]
"""The partitions of each member of a group."""


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


class ZombieWorker(Fault):
    """A worker freezes with a batch in its hands until a second one has its partitions, and goes on with that batch.

    What it still writes must lose against what the second has written, and the group refuses its offsets.
    """

    longer = 30.0

    def __init__(self, site: Site, service: str, point: str, passage: int, shared: Shares = shares) -> None:
        self._first = site.watch.processes[f"{service}-worker"]
        self.name = f"zombie {self._first.name} {point}@{passage}"
        self._site = site
        self._service = service
        self._shared = shared
        self._second = another(self._first, 2)
        self._pause = PausedAt(site, self._first.name, point, _HOLDS, passage)
        self._frozen = Frozen(site, [self._first.name])
        self._moved = 0

    async def strike(self) -> None:
        """Return once the second has what the first had."""
        await asyncio.to_thread(self._site.watch.start, self._second)
        await ready(self._second)
        await self._pause.strike()
        await eventually(self._pause.reached, within=_IN_HAND_WITHIN)
        await self._frozen.strike()
        had = await eventually(self._both_have_some, within=_TAKEN_WITHIN, every=0.5)
        self._moved = await eventually(lambda: self._taken(had), within=_TAKEN_WITHIN, every=0.5)

    async def _both_have_some(self) -> Given:
        given = await self._given()
        return given if len(given) == 2 and all(given.values()) else {}

    async def _taken(self, had: Given) -> int:
        """How many partitions of the one that has left the group the other has, once it has them all."""
        given = await self._given()
        left = had.keys() - given.keys()
        lost = set().union(*(had[member] for member in left))
        return len(lost) if len(left) == len(given) == 1 and lost <= set().union(*given.values()) else 0

    async def _given(self) -> Given:
        try:
            return await self._shared(self._site, self._service)
        except KafkaError:  # its coordinator moves, or loads
            return {}

    async def heal(self) -> None:
        """Wake the first, and let the second leave in good order once both are members again."""
        first, said = child_of(self._first), self._first.log.stat().st_size
        await self._frozen.heal()
        back = False
        if self._moved:
            with contextlib.suppress(AssertionError):
                back = bool(await eventually(self._both_have_some, within=_TAKEN_WITHIN, every=0.5))
        self._pause.disarm()
        self._second.wanted = False
        await asyncio.to_thread(child_of(self._second).stop)
        if back and self._frozen.struck:
            refused = sum(_REFUSED in line for line in said_since(self._first.log, said).splitlines())
            lives = "lived on" if first.returncode is None else f"ended with {first.returncode}"
            self.proof = (
                f"{self._moved} partitions moved while {first.pid} stood still; it {lives}, offsets refused {refused}x"
            )
