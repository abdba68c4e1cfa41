"""Goal 7: from acceptance to the notification's record at 300/s and 1,000/s, Poisson arrivals, roles apart, against
`pipeline_limit.py` at the same rates where the reference programs are given; and what an idle installation costs.
"""

import asyncio
from typing import Any

from bench import load, peers
from bench.chain import settled
from bench.effort import ROUNDS, sized
from bench.measuring import Meter, medians
from bench.result import Result
from bench.running import alone
from bench.site import EVERYTHING, Site

RATES = (300, 1000)
SECONDS, IDLE_SECONDS = sized(5.0, 1.0), sized(5.0, 1.0)
_END_TO_END = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM told.at - taken.recorded_at) * 1000)
FROM intake.journal taken JOIN (
  SELECT subject, min(recorded_at) AS at FROM notifications.journal
  WHERE type = 'notifications.message-planned' GROUP BY subject) told USING (subject)
WHERE taken.type = 'intake.request-submitted' AND taken.recorded_at >= $1
"""
"""Both moments are the database's clock when the row was written, just before its commit."""


async def measure(site: Site) -> Result:
    """Each rate in turn, round by round with the reference; the idle figure first."""
    await settled(site)
    found: dict[str, Any] = {"idle_percent_of_a_core": await _idle(site)}
    await load.run(site.plan(sized(3.0, 0.5), rate=300))
    await settled(site)
    rounds = [await _round(site) for _ in range(ROUNDS)]
    found |= {name: medians([each[name] for each in rounds]) for name in rounds[0]}
    reference = found["reference_at_300"]["p50_ms"] if "reference_at_300" in found else None
    return Result("latency", found["at_300"]["p50_ms"], "ms", reference, 1.3, rounds=ROUNDS, details=found)


async def _round(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = {f"at_{rate}": await _at(site, rate) for rate in RATES}
    folder = peers.programs()
    if folder is not None:
        rows = await peers.pipeline_limit(folder, list(RATES), int(SECONDS))
        for rate, row in zip(RATES, rows, strict=True):
            figures = {"p50_ms": row["e2e p50 ms"], "p99_ms": row["p99 ms"], "cpu_us": row["sum us"]}
            found[f"reference_at_{rate}"] = {name: float(figure) for name, figure in figures.items()}
    return found


async def _at(site: Site, rate: int) -> dict[str, Any]:
    began = await site.value("SELECT clock_timestamp()")
    meter = Meter(site.pids())
    report = await load.run(site.plan(SECONDS, rate=rate, connections=64))
    await settled(site)
    cpu = {name: used / report.good * 1e6 for name, used in meter.read().items()}
    p50, p99 = await site.value(_END_TO_END, began)
    return {
        "requests": report.good,
        "unanswered": report.unanswered,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "accept_p50_ms": report.p50_ms,
        "accept_p99_ms": report.p99_ms,
        "cpu_us": sum(cpu.values()),
        "cpu_us_by_process": cpu,
    }


async def _idle(site: Site) -> dict[str, float]:
    """Percent of a core that each process takes while nothing happens."""
    meter = Meter(site.pids())
    await asyncio.sleep(IDLE_SECONDS)
    used = {name: seconds / meter.wall * 100 for name, seconds in meter.read().items()}
    return {"all": sum(used.values()), **used}


if __name__ == "__main__":
    alone("latency", measure, EVERYTHING)
