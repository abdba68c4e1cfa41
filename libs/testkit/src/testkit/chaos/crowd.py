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
from testkit.chaos.site import Site

_ONE_MORE: Final = 0.35
"""The part of whose lives one more thing is asked for."""
BURST_OVER, BURST_SECONDS = 20.0, 6.0
"""Requests a second of which a burst brings ten times as many, and for how long."""
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
    """Ten times the ordinary rate for a few seconds, on top of what is going on."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.name = "burst of 10x"
        self._site = site
        self._seed = chance.randrange(1_000_000)
        self._load = Load(site)
        self._playing: asyncio.Task[None] | None = None
        self._arrivals: list[Arrival] = []

    async def strike(self) -> None:
        self._arrivals = crowd(self._seed, new_id().hex[:12], 10 * BURST_OVER, BURST_SECONDS)
        await self._load.start()
        self._playing = asyncio.create_task(self._load.play(self._arrivals))

    async def heal(self) -> None:
        """Return when all that came has been answered."""
        if self._playing is not None:
            await self._playing
            self.proof = f"{len(self._arrivals)} more in {BURST_SECONDS:.0f} s, at worst {self._load.behind:.2f} s late"
        await self._load.stop()
