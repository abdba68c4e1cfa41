"""Goal 4: submitted over HTTP until workflow, billing, approvals and notifications have it, as fast as it goes,
against the chain with only the necessary work (`pipeline_limit.py`, where the reference programs are given).
"""

import time
from collections.abc import Sequence

from bench import load, peers
from bench.measuring import Meter
from bench.result import Result
from bench.running import alone
from bench.site import EVERYTHING, Site, until

SECONDS = 6.0
ENDS = ("notifications.messages", "billing.accounts", "approvals.approval_files", "workflow.requests")


async def measure(site: Site) -> Result:
    """One run: what is accepted in some seconds, and the time until the last of it is through."""
    await settled(site)
    await load.run(site.plan(2.0))
    await settled(site)
    meter, began = Meter(site.pids()), time.perf_counter()
    report = await load.run(site.plan(SECONDS))
    await settled(site)
    seconds, cpu = time.perf_counter() - began, meter.read()
    per_request = {f"{name}_us": used / report.good * 1e6 for name, used in cpu.items()}
    total = sum(per_request.values())
    found = {
        "accepted_per_second": report.rate,
        "accept_p99_ms": report.p99_ms,
        "requests": report.good,
        "cpu_us": total,
        **per_request,
    }
    reference = None
    folder = peers.programs()
    if folder is not None:
        row = (await peers.pipeline_limit(folder, [0], int(SECONDS)))[0]
        reference = float(row["through all services/s"])
        found |= {"reference_cpu_us": row["sum us"], "cpu_against_reference": total / row["sum us"]}
    rate = report.good / seconds
    return Result("chain", rate, "requests/s", reference, 0.6, at_least=True, details=found)


async def settled(site: Site, ends: Sequence[str] = ENDS) -> None:
    """Return when everything accepted is known at every end of the chain."""
    accepted = await site.count("intake.submissions")

    async def through() -> bool:
        return min([await site.count(table) for table in ends]) >= accepted

    await until(through, every=0.25)


if __name__ == "__main__":
    alone("chain", measure, EVERYTHING)
