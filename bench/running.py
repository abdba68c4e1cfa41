"""How a benchmark runs: alone on a site of its own, or after others on one that is up already."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import uvloop

from bench import profiling
from bench.effort import QUICK
from bench.measuring import load_average
from bench.result import Result, commit, tell
from bench.site import Site, site

Measure = Callable[[Site], Awaitable[Result]]


def alone(name: str, measure: Measure, roles: Mapping[str, tuple[str, ...]]) -> None:
    """Start what it needs, measure, tell, and leave nothing behind."""
    print(f"{name}: starting", flush=True)
    on_new_site(lambda up: told(measure, up), roles)


def on_new_site(do: Callable[[Site], Awaitable[None]], roles: Mapping[str, tuple[str, ...]]) -> None:
    """Do something on a site of its own, which is gone afterwards."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    async def run() -> None:
        async with site(roles) as up:
            await do(up)

    uvloop.run(run())


async def told(measure: Measure, up: Site) -> None:
    """Measure on a site that is up, and tell; a run that is profiled leaves its profile instead of a result."""
    before = load_average()
    if profiling.FOLDER is None:
        tell(await measure(up), before)
        return
    profiling.profiles.clear()
    await up.forget_statements()
    result = await measure(up)
    tell(result, before)
    profiling.FOLDER.mkdir(parents=True, exist_ok=True)
    what = f"{result.name} at {commit()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC{', a short slice' if QUICK else ''}"
    (profiling.FOLDER / f"{result.name}.txt").write_text(profiling.text(what, await up.statements()))
