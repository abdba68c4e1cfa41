"""An open-loop load: requests begin when a seeded plan says, whether or not the last ones are done.

Each begins a life of the demo's scenario, whose people also look at what they did. Careful callers repeat what is not
answered under the same key; careless ones ask once, and leave an unknown outcome behind. What a submission took is
counted from when it was due.
"""

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from chassis.ids import new_id
from cli.demo import scenario, setting_up
from cli.demo.organisation import CONTACTS, MATRIX, queues
from cli.demo.scenario import Life
from testkit.chaos.looking import Looking, with_looks
from testkit.chaos.operations import DUE, RecordingCrm, RecordingDoors
from testkit.chaos.site import Addresses, Site

_CARELESS = 0.2
_ABOUT_TO_BREACH = 0.4
"""Of the requests that staff pass on: received so long ago that their clock runs out in seconds."""
_LEFT_OPEN = 0.7
"""Of those: nobody does anything about them, and they breach. The others are closed in time, or just not."""
_LOOKS = 0.25
"""The part of their acts after which people look."""
_LAST_WITHIN = 120.0
_LOGINS = frozenset(contact.login for contact in CONTACTS)
_MINUTES: dict[str, int] = queues()[0]["completion_minutes"]


@dataclass(frozen=True)
class Arrival:
    """A life and the second of the run at which it begins."""

    at: float
    life: Life
    careful: bool


def plan(seed: int, run: str, rate: float, seconds: float, looks: float = _LOOKS) -> list[Arrival]:
    """Poisson arrivals at `rate` a second, each with a life of its own. The same seed gives the same plan.

    People look after a part `looks` of their acts.
    """
    chance, looking = random.Random(f"load {seed}"), random.Random(f"looks {seed}")
    lives = scenario.lives(seed, int(rate * seconds * 3) + 50)
    return arrivals(chance, run, rate, seconds, (with_looks(looking, life, looks) for life in lives))


def arrivals(
    chance: random.Random, run: str, rate: float, seconds: float, lives: Iterator[Life], breach_within: float = 0.3
) -> list[Arrival]:
    """Lives at Poisson moments, each marked as its own; some have a clock that runs out within so many minutes."""
    found: list[Arrival] = []
    at = chance.expovariate(rate)
    while at < seconds:
        life = next(lives)
        if life.by not in (*_LOGINS, "crm") and chance.random() < _ABOUT_TO_BREACH:
            life = _about_to_breach(life, chance, breach_within)
        marked = replace(life, summary=f"{life.summary} [{run}-{life.n}]")
        found.append(Arrival(at, marked, chance.random() >= _CARELESS or life.by == "crm"))
        at += chance.expovariate(rate)
    return found


def _about_to_breach(life: Life, chance: random.Random, within: float) -> Life:
    minutes = _MINUTES[MATRIX[life.impact][life.urgency]]
    steps = () if chance.random() < _LEFT_OPEN else life.steps
    return replace(life, late_minutes=minutes - chance.uniform(0.02, within), steps=steps)


class Load:
    """Plays a plan against a site; everything asked is entered into the site's operations."""

    def __init__(self, site: Site) -> None:
        operations = site.operations
        tokens: dict[str, str] = {}

        def token(login: str) -> str:
            if login not in tokens:
                tokens[login] = site.token(login, setting_up.scopes_of(login))
            return tokens[login]

        services = Addresses(site.watch.processes)
        careful = RecordingDoors(operations, services, token, patience=90.0, connections=512)
        careless = RecordingDoors(operations, services, token, patience=0.0, connections=512)
        self._doors = (careful, careless)
        self._crm = RecordingCrm(operations, site.bootstrap, site.prefix)
        name = str(new_id())
        self._careful = Looking(careful, self._crm, name, lambda: None)
        self._careless = Looking(careless, self._crm, name, lambda: None)
        self.behind = 0.0
        """Seconds that the load itself came late, at the worst."""
        self._enough = False

    async def start(self) -> None:
        """Connect."""
        await self._crm.start()

    def no_more(self) -> None:
        """Let no further life begin; those that have begun go on to their ends."""
        self._enough = True

    async def stop(self) -> None:
        """Disconnect."""
        await self._crm.stop()
        for doors in self._doors:
            await doors.close()

    async def play(self, arrivals: Iterable[Arrival], within: float = _LAST_WITHIN) -> None:
        """Begin every life when it is due; return when the last one has ended, or after `within` more seconds."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        lives = []
        for arrival in arrivals:
            await asyncio.sleep(max(0.0, began + arrival.at - loop.time()))
            if self._enough:
                break
            self.behind = max(self.behind, loop.time() - began - arrival.at)
            lives.append(asyncio.create_task(self._live(arrival, began + arrival.at)))
        if lives:
            _, left = await asyncio.wait(lives, timeout=within)
            for life in left:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)

    async def _live(self, arrival: Arrival, due: float) -> None:
        DUE.set(due)
        await (self._careful if arrival.careful else self._careless).play([arrival.life], at_once=1)

    @property
    def unanswered(self) -> list[str]:
        """What careful callers were refused, or could not get an answer to."""
        return self._careful.unanswered
