"""Goal c: what five services take when nothing happens, each started as one with `--role all`."""

import asyncio
import os

from bench import load
from bench.effort import sized
from bench.measuring import Meter
from bench.result import TOGETHER, Result
from bench.running import alone
from bench.site import Site, until
from contracts.registry import SERVICES

ROLES = dict.fromkeys(SERVICES, ("all",))
SETTLED_AFTER, SECONDS = sized(20.0, 1.0), float(os.environ.get("BENCH_SECONDS", sized("60", "2")))
_REQUESTS = 200
"""Pass first: what is made at first use is there, and connections are open."""


async def measure(site: Site) -> Result:
    """A few requests, a pause, then nothing for a minute."""
    await load.run(site.plan(60.0, most=_REQUESTS))
    accepted = await site.count("intake.submissions")
    await until(lambda: _through(site, accepted), every=0.25)
    await asyncio.sleep(SETTLED_AFTER)
    await site.forget_statements()
    meter = Meter(site.pids())
    await asyncio.sleep(SECONDS)
    used = {name: seconds / meter.wall * 100 for name, seconds in meter.read().items()}
    services = sum(percent for name, percent in used.items() if name in SERVICES)
    details = {"seconds": SECONDS, "percent_of_a_core": used, "with_servers": sum(used.values())}
    return Result("idle", services, "% of a core", None, 5.0, of_ratio=False, topology=TOGETHER, details=details)


async def _through(site: Site, accepted: int) -> bool:
    return await site.count("notifications.messages") >= accepted


if __name__ == "__main__":
    alone("idle", measure, ROLES)
