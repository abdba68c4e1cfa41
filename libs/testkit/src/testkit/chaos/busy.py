"""A site that has something to do while it is watched: lives, and requests about to breach, so that much falls due."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import chain
from typing import Final

from cli.demo.organisation import AGENTS
from cli.demo.scenario import Life, lives
from testkit.chaos.load import Arrival, Load, arrivals, plan
from testkit.chaos.site import Site

_LIVES, _PASSED_ON, _SECONDS = 0.5, 0.7, 400.0
"""A second: full lives, and requests that staff pass on and leave alone; and for how long at the most."""
_MORE, _UNTIL = 1.5, 36.0
"""Passed on a second besides, and until when."""
_BREACH_WITHIN: Final = 0.1
"""Minutes within which a clock that is about to run out does."""
_APART: Final = 1_000_000
_END_WITHIN: Final = 20.0


@asynccontextmanager
async def busy(site: Site, seed: int, run: str) -> AsyncIterator[None]:
    """The same seed makes the same of it; what was begun is ended, within some seconds, before this returns."""
    load = Load(site)
    await load.start()
    playing = asyncio.create_task(load.play(arriving(seed, run)))
    try:
        yield
    finally:
        load.no_more()
        await asyncio.wait([playing], timeout=_END_WITHIN)
        await load.stop()


def arriving(seed: int, run: str) -> list[Arrival]:
    """Everything that begins, in its order; nobody looks, for a read that waits for what hangs is a 503. Pure."""
    found = chain(
        plan(seed, run, _LIVES, _SECONDS, looks=0.0),
        _passed_on(seed, run, _PASSED_ON, _SECONDS),
        _passed_on(seed + 1, run, _MORE, _UNTIL),
    )
    return sorted(found, key=lambda arrival: arrival.at)


def _passed_on(seed: int, run: str, rate: float, seconds: float) -> list[Arrival]:
    chance = random.Random(f"passed on {seed}")
    return arrivals(chance, f"{run}-{seed}", rate, seconds, _left_alone(seed, rate * seconds), _BREACH_WITHIN)


def _left_alone(seed: int, wanted: float) -> Iterator[Life]:
    """Under numbers of their own: keys are made of them."""
    agents = {agent.login for agent in AGENTS}
    found = (life for life in lives(seed, int(wanted * 10) + 200) if life.by in agents)
    return (replace(life, n=life.n + seed * _APART, steps=()) for life in found)
