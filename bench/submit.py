"""Goals 1 and 2: a request accepted over HTTP (token, idempotency key, validation, durable) against pgbench's
BEGIN / 3 INSERTs / COMMIT with 16 clients on the same server.
"""

import json
from dataclasses import replace
from typing import Any

from bench import load, peers
from bench.effort import ROUNDS, sized
from bench.measuring import Meter, median, medians
from bench.result import APART, Result
from bench.running import alone
from bench.site import Site

ROLES = {"intake": ("api", "worker", "relay"), "workflow": ("api", "relay")}
SECONDS = sized(4.0, 1.0)
CONNECTIONS = 32


async def measure(site: Site) -> Result:
    """Interleaved rounds with nothing running but intake's door, so that the CPU counted is that of accepting."""
    others = [name for name in site.pids() if name not in ("intake", "postgresql", "kafka")]
    await site.halt(*others)
    await load.run(site.plan(2.0, connections=CONNECTIONS))
    rounds = [await _round(site) for _ in range(ROUNDS)]
    half = await load.run(site.plan(SECONDS, rate=median([each["rate"] for each in rounds]) / 2, connections=64))
    await site.resume(*others)
    found = medians(rounds)
    found |= {"p50_ms_at_half_load": half.p50_ms, "p99_ms_at_half_load": half.p99_ms}
    found["door_and_postgresql_us"] = found["door_us"] + found["postgresql_us"]
    if "asgi_batch_us" in found:
        found["cpu_against_asgi_batch"] = found["door_and_postgresql_us"] / found["asgi_batch_us"]
        found["rate_against_asgi_batch"] = found["rate"] / found["asgi_batch_rate"]
    rate, reference = found["rate"], found["pgbench_rate"]
    return Result(
        "submit", rate, "requests/s", reference, 1.0, at_least=True, rounds=ROUNDS,
        topology=f"{APART}; intake's door alone at work", details=found,
    )  # fmt: skip


async def _round(site: Site) -> dict[str, float]:
    assert site.postgres is not None
    plan = site.plan(SECONDS, connections=CONNECTIONS)
    pgbench = await peers.pgbench(site.postgres, plan.bodies[0], SECONDS)
    found = {"pgbench_rate": pgbench.rate, "pgbench_postgresql_us": pgbench.cpu_us}
    pids = site.pids()
    meter = Meter({name: pids[name] for name in ("intake", "postgresql")})
    report = await load.run(plan)
    cpu = meter.read()
    found |= {
        "rate": report.rate,
        "p50_ms": report.p50_ms,
        "p99_ms": report.p99_ms,
        "door_us": cpu["intake"] / report.good * 1e6,
        "postgresql_us": cpu["postgresql"] / report.good * 1e6,
    }
    return found | await _reference(site, plan)


async def _reference(site: Site, plan: load.Plan) -> dict[str, Any]:
    """asgi-batch under the same load generator, where it is given."""
    folder = peers.programs()
    if folder is None or site.postgres is None or site.postgres.pid is None:
        return {}
    async with peers.asgi_batch(site.postgres, folder) as (port, pid, body):
        theirs = replace(plan, port=port, path="/requests", bodies=[json.dumps(body)], tokens=["-"])
        await load.run(replace(theirs, seconds=1.0))
        meter = Meter({"app": pid, "postgresql": site.postgres.pid})
        report = await load.run(theirs)
        cpu = meter.read()
    return {
        "asgi_batch_rate": report.rate,
        "asgi_batch_us": sum(cpu.values()) / report.good * 1e6,
        "asgi_batch_p99_ms": report.p99_ms,
    }


if __name__ == "__main__":
    alone("submit", measure, ROLES)
