"""Goal 4: submitted over HTTP until workflow, billing, approvals and notifications have it, as fast as it goes,
against the chain with only the necessary work (`pipeline_limit.py`, where the reference programs are given).
"""

import time
from collections.abc import Sequence

from bench import load, peers
from bench.effort import ROUNDS, sized
from bench.measuring import Meter, medians
from bench.result import Result
from bench.running import alone
from bench.site import EVERYTHING, Site, until

SECONDS = sized(5.0, 1.0)
ENDS = ("notifications.messages", "billing.accounts", "approvals.approval_files", "workflow.requests")


async def measure(site: Site) -> Result:
    """Rounds of what is accepted in some seconds, and the time until the last of it is through; each with its pair."""
    await settled(site)
    await load.run(site.plan(sized(2.0, 0.5)))
    await settled(site)
    rounds = [await _round(site) for _ in range(ROUNDS)]
    found = medians(rounds)
    rate, reference = found["rate"], found.get("reference_rate")
    if reference is not None:
        found["cpu_against_reference"] = found["cpu_us"] / found["reference_cpu_us"]
    return Result("chain", rate, "requests/s", reference, 0.6, at_least=True, rounds=ROUNDS, details=found)


async def _round(site: Site) -> dict[str, float]:
    meter, began = Meter(site.pids()), time.perf_counter()
    report = await load.run(site.plan(SECONDS))
    await settled(site)
    seconds, cpu = time.perf_counter() - began, meter.read()
    per_request = {f"{name}_us": used / report.good * 1e6 for name, used in cpu.items()}
    found = {
        "rate": report.good / seconds,
        "accepted_per_second": report.rate,
        "accept_p99_ms": report.p99_ms,
        "requests": report.good,
        "cpu_us": sum(per_request.values()),
        **per_request,
    }
    folder = peers.programs()
    if folder is not None:
        row = (await peers.pipeline_limit(folder, [0], int(SECONDS)))[0]
        found |= {"reference_rate": float(row["through all services/s"]), "reference_cpu_us": row["sum us"]}
    return found


async def settled(site: Site, ends: Sequence[str] = ENDS) -> None:
    """Return when everything accepted is known at every end of the chain."""
    accepted = await site.count("intake.submissions")

    async def through() -> bool:
        return min([await site.count(table) for table in ends]) >= accepted

    await until(through, every=0.25)


if __name__ == "__main__":
    alone("chain", measure, EVERYTHING)
