"""How a benchmark runs: alone on a site of its own, or after others on one that is up already."""

import logging
from collections.abc import Awaitable, Callable, Mapping

import uvloop

from bench.measuring import load_average
from bench.result import Result, tell
from bench.site import Site, site

Measure = Callable[[Site], Awaitable[Result]]


def alone(name: str, measure: Measure, roles: Mapping[str, tuple[str, ...]]) -> None:
    """Start what it needs, measure, tell, and leave nothing behind."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    print(f"{name}: starting", flush=True)
    uvloop.run(_on_new_site(measure, roles))


async def _on_new_site(measure: Measure, roles: Mapping[str, tuple[str, ...]]) -> None:
    async with site(roles) as up:
        await told(measure, up)


async def told(measure: Measure, up: Site) -> None:
    """Measure on a site that is up, and tell."""
    before = load_average()
    tell(await measure(up), before)
