"""A crowd beside the full lives: short requests, so that a run asks for much.

Most are submitted and left alone, or asked one more thing about. A fifth goes through a short piece of a life, to an
invoice, a reopening, a regress, a wait or an approval; after some acts of these, and of another fifth, somebody looks.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final

from chassis.ids import new_id
from cli.demo.organisation import ADMIN, AGENTS, APPROVERS, CONTACTS, SKUS
from cli.demo.scenario import REASONS, SUMMARIES, Life, Step
from testkit.chaos.faults import Fault
from testkit.chaos.load import Arrival, Load, arrivals
from testkit.chaos.looking import with_last_look, with_looks
from testkit.chaos.operations import Operations, percentile
from testkit.chaos.site import Site

_ONE_MORE: Final = 0.35
"""The part of the brief lives in which one more thing is asked for."""
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
_FULLER, _LOOKED_AT = 0.2, 0.2
"""The parts of a crowd that live a little more, and that are brief but looked at."""
_LOOKS: Final = 0.15
"""The part of their acts after which those who live a little more are looked at."""


def crowd(seed: int, run: str, rate: float, seconds: float) -> list[Arrival]:
    """Poisson arrivals at `rate` a second. The same seed gives the same crowd; no rate, nobody."""
    return _crowd(seed, run, rate, seconds, _mixed)


def brief_crowd(seed: int, run: str, rate: float, seconds: float) -> list[Arrival]:
    """The same of those who ask for one more thing at the most, and look at nothing: so each costs the same."""
    return _crowd(seed, run, rate, seconds, _brief)


def _crowd(
    seed: int, run: str, rate: float, seconds: float, live: Callable[[random.Random, int], Life]
) -> list[Arrival]:
    if not rate:
        return []
    chance = random.Random(f"crowd {seed}")
    return arrivals(chance, run, rate, seconds, map(partial(live, chance), count(_FIRST)), _BREACH_WITHIN)


def _mixed(chance: random.Random, n: int) -> Life:
    share = chance.random()
    if share < _FULLER:
        return with_looks(chance, _fuller(chance, n), _LOOKS)
    life = _brief(chance, n)
    return with_last_look(chance, life) if share < _FULLER + _LOOKED_AT else life


def _brief(chance: random.Random, n: int) -> Life:
    life, agent = _submitted(chance, n, chance.choice(list(SUMMARIES)))
    more = _one_more(life.contact, agent, owned=life.by == agent)
    return replace(life, steps=(chance.choice(more),) if chance.random() < _ONE_MORE else ())


def _submitted(chance: random.Random, n: int, queue: str) -> tuple[Life, str]:
    """A request that is left alone, and the agent who would do something about it."""
    contact, agent = chance.choice(CONTACTS).login, chance.choice(AGENTS).login
    life = Life(
        n=n,
        queue=queue,
        contact=contact,
        by=chance.choices((contact, agent, "crm"), _BY)[0],
        summary=chance.choice(SUMMARIES[queue]),
        impact="low",
        urgency=chance.choice(("low", "medium")),
        late_minutes=0.0,
        steps=(),
    )
    return life, agent


def _one_more(contact: str, agent: str, *, owned: bool) -> list[Step]:
    steps = [
        Step("note", agent, {"text": "Asked for a second opinion."}),
        Step("message", contact, {"text": "Is there anything new?"}),
        Step("close", contact, {"outcome": "cancelled"}),
    ]
    return steps if owned else [*steps, Step("take-over", agent)]


def _fuller(chance: random.Random, n: int) -> Life:
    """Whoever owns it does the rest, else she who may do everything: nobody has to take it over first."""
    _, queue, steps = chance.choices(_PIECES, [often for often, _, _ in _PIECES])[0]
    life, agent = _submitted(chance, n, queue)
    return replace(life, steps=tuple(steps(chance, agent if life.by == agent else ADMIN.login)))


def _invoiced(chance: random.Random, who: str) -> Iterator[Step]:
    yield Step("charge", who, {"sku": chance.choice(SKUS), "quantity": "1"})
    yield Step("close", who, {"outcome": "resolved"})


def _reopened(chance: random.Random, who: str) -> Iterator[Step]:
    yield Step("close", who, {"outcome": "unresolved"})
    yield Step("reopen", who, {"reason": "The line dropped again"})


def _regressed(chance: random.Random, who: str) -> Iterator[Step]:
    yield Step("progress", who)
    yield Step("regress", who, {"reason": chance.choice(REASONS)})


def _waited(chance: random.Random, who: str) -> Iterator[Step]:
    yield Step("wait", who, {"reason": chance.choice(("customer", "supplier"))})
    yield Step("resume", who)


def _voted(chance: random.Random, who: str) -> Iterator[Step]:
    yield Step("progress", who)
    yield Step("ask", who)
    yield Step(chance.choice(("approve", "refuse")), chance.choice(APPROVERS).login)


_PIECES: Final = (
    (10, "billing", _invoiced),
    (4, "outage", _reopened),
    (3, "outage", _regressed),
    (2, "outage", _waited),
    (1, "change", _voted),
)
"""How often each of them is lived, in which queue, and of what it consists. Who votes asks until there is something."""


class Burst(Fault):
    """Ten times an ordinary rate for a few seconds, on top of what is going on; nobody waits for an answer to ask."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.name = f"burst of {BURST_RATE:.0f} a second"
        self._site = site
        self._run = new_id().hex[:12]
        self._load = Load(site)
        self._playing: asyncio.Task[None] | None = None
        self._arrivals = brief_crowd(chance.randrange(1_000_000), self._run, BURST_RATE, BURST_SECONDS)

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
