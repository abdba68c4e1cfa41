"""Reads: one request, a contact's list of 50, and the work list, against the bare statement of each on plain ASGI."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from bench import load
from bench.chain import settled
from bench.effort import ROUNDS, sized
from bench.measuring import Meter, median
from bench.result import APART, ROOT, Result
from bench.running import alone
from bench.site import CONTACTS, Site
from cli.demo import setting_up
from embedded.ports import answers, free_port
from embedded.process import Child

ROLES = {"intake": ("api", "worker", "relay"), "workflow": ("api", "worker", "relay")}
SECONDS, CONNECTIONS = sized(2.0, 0.5), 16
_REQUESTS = sized(2000, 200)


class Read(NamedTuple):
    """One read: at which door, by whom, and what the bare statement takes."""

    name: str
    service: str
    path: str
    login: str
    statement: int
    argument: str


async def measure(site: Site) -> Result:
    """Interleaved rounds of ours and of the bare one, with nothing but the doors at work."""
    await load.run(site.plan(60.0, most=_REQUESTS))
    await settled(site, ["workflow.requests"])
    await site.halt(*(name for name in site.pids() if name not in ("intake", "workflow", "postgresql", "kafka")))
    found: dict[str, float] = {}
    async with _bare(site) as (port, pid):
        for read in await _reads(site):
            rounds = [await _round(site, read, port, pid) for _ in range(ROUNDS)]
            found |= {f"{read.name}_{key}": median([each[key] for each in rounds]) for key in rounds[0]}
            found[f"{read.name}_ratio"] = found[f"{read.name}_cpu_us"] / found[f"{read.name}_bare_us"]
    names = [key.removesuffix("_ratio") for key in found if key.endswith("_ratio")]
    worst = max(names, key=lambda name: found[f"{name}_ratio"])
    figure, reference = found[f"{worst}_cpu_us"], found[f"{worst}_bare_us"]
    topology = f"{APART}; the doors of intake and workflow alone at work"
    return Result("reads", figure, f"us CPU ({worst})", reference, 1.4, rounds=ROUNDS, topology=topology, details=found)


async def _reads(site: Site) -> list[Read]:
    contact = CONTACTS[0]
    one = await site.value("SELECT id FROM intake.submissions WHERE contact_id = $1 LIMIT 1", contact.id)
    team = str(await site.value("SELECT team_id FROM workflow.requests LIMIT 1"))
    return [
        Read("one", "intake", f"/intake/v1/requests/{one}", contact.login, 0, str(one)),
        Read("list", "intake", "/intake/v1/requests?limit=50", contact.login, 1, str(contact.id)),
        Read("work", "workflow", f"/workflow/v1/requests?limit=50&team_id={team}", setting_up.SETUP, 2, team),
    ]


async def _round(site: Site, read: Read, port: int, pid: int) -> dict[str, float]:
    pids = site.pids()
    token = site.token(read.login, "requests:read")
    ours = site.reading(read.service, read.path, token, SECONDS, connections=CONNECTIONS)
    meter = Meter({"door": pids[read.service], "postgresql": pids["postgresql"]})
    report = await load.run(ours)
    cpu = meter.read()
    bare = replace(ours, port=port, path=f"/{read.statement}/{read.argument}", tokens=["-"])
    meter = Meter({"bare": pid, "postgresql": pids["postgresql"]})
    theirs = await load.run(bare)
    bare_cpu = meter.read()
    return {
        "rate": report.rate,
        "p99_ms": report.p99_ms,
        "door_us": cpu["door"] / report.good * 1e6,
        "cpu_us": sum(cpu.values()) / report.good * 1e6,
        "bare_rate": theirs.rate,
        "bare_us": sum(bare_cpu.values()) / theirs.good * 1e6,
    }


@asynccontextmanager
async def _bare(site: Site) -> AsyncIterator[tuple[int, int]]:
    port, place = free_port(), Path(mkdtemp())
    child = Child(
        [sys.executable, "-m", "bench.bare", site.admin_url, str(port)],
        log=place / "bare.log",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        remove=place,
    )
    try:
        await asyncio.to_thread(child.wait_until, lambda: answers(port), within=60, name="bare")
        yield port, child.pid
    finally:
        child.stop()


if __name__ == "__main__":
    alone("reads", measure, ROLES)
