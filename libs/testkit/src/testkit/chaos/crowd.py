"""A crowd beside the full lives: short requests, so that a run asks for much. Most are submitted and left alone."""

import asyncio
import random
from collections.abc import Iterator
from itertools import count
from typing import Final

from chassis.ids import new_id
from cli.demo.organisation import AGENTS, CONTACTS
from cli.demo.scenario import SUMMARIES, Life, Step
from testkit.chaos.faults import Fault
from testkit.chaos.load import Arrival, Load, arrivals
from testkit.chaos.operations import Operations, percentile
from testkit.chaos.site import Site

_ONE_MORE: Final = 0.35
"""The part of whose lives one more thing is asked for."""
CHAIN_AT_MOST: Final = 700.0
"""Requests a second through all five services on two cores, as measured: the figure of bench/results/chain.json."""
_ORDINARY: Final = 0.1 * CHAIN_AT_MOST
BURST_RATE, BURST_SECONDS = 10 * _ORDINARY, 5.0
"""Requests a second that a burst brings, ten times an ordinary load of a tenth of the most; and for how long."""
_BREACH_WITHIN: Final = 0.1
"""Minutes within which a clock that is about to run out does: before the run is audited."""
_FIRST: Final = 1_000_000
"""The first one's number: keys are made of it, so it must be none of a full life's."""
_BY: Final = (5, 1, 4)
"""How often a contact, an agent and the other system submit."""


def crowd(seed: int, run: str, rate: float, seconds: float) -> list[Arrival]:
    """Poisson arrivals at `rate` a second. The same seed gives the same crowd; no rate, nobody."""
    if not rate:
        return []
    chance = random.Random(f"crowd {seed}")
    return arrivals(chance, run, rate, seconds, _short_lives(chance), _BREACH_WITHIN)


def _short_lives(chance: random.Random) -> Iterator[Life]:
    for n in count(_FIRST):
        queue = chance.choice(list(SUMMARIES))
        contact, agent = chance.choice(CONTACTS).login, chance.choice(AGENTS).login
        by = chance.choices((contact, agent, "crm"), _BY)[0]
        steps = _steps(contact, agent, owned=by == agent)
        yield Life(
            n=n,
            queue=queue,
            contact=contact,
            by=by,
            summary=chance.choice(SUMMARIES[queue]),
            impact="low",
            urgency=chance.choice(("low", "medium")),
            late_minutes=0.0,
            steps=(chance.choice(steps),) if chance.random() < _ONE_MORE else (),
        )


def _steps(contact: str, agent: str, *, owned: bool) -> list[Step]:
    steps = [
        Step("note", agent, {"text": "Asked for a second opinion."}),
        Step("message", contact, {"text": "Is there anything new?"}),
        Step("close", contact, {"outcome": "cancelled"}),
    ]
    return steps if owned else [*steps, Step("take-over", agent)]


class Burst(Fault):
    """Ten times an ordinary rate for a few seconds, on top of what is going on; nobody waits for an answer to ask."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.name = f"burst of {BURST_RATE:.0f} a second"
        self._site = site
        self._run = new_id().hex[:12]
        self._load = Load(site)
        self._playing: asyncio.Task[None] | None = None
        self._arrivals = crowd(chance.randrange(1_000_000), self._run, BURST_RATE, BURST_SECONDS)

    async def strike(self) -> None:
        await self._load.start()
        self._playing = asyncio.create_task(self._load.play(self._arrivals))

    async def heal(self) -> None:
        """Return when all that came has been answered."""
        if self._playing is not None:
            await self._playing
            took = took_of(self._site.operations, self._run)
            median, slow = percentile(took, 0.5), percentile(took, 0.99)
            self.proof = (
                f"{len(took)} of {len(self._arrivals)} in {BURST_SECONDS:.0f} s accepted, "
                f"p50 {median:.2f} s, p99 {slow:.2f} s, begun {self._load.behind:.2f} s late at worst"
            )
        await self._load.stop()


def took_of(operations: Operations, run: str) -> list[float]:
    """Seconds that each accepted submission of a load took from when it was due, ascending."""
    return sorted(each.seconds for each in operations.submissions("ok") if each.marker.startswith(f"{run}-"))
