"""Another system's log moved in through the inbound topics (`LOG=file`, `MAPPING=file`): changes a second."""

import os
from pathlib import Path

from bench.measuring import Meter
from bench.result import ROOT, Result
from bench.running import alone
from bench.site import EVERYTHING, Site
from chassis.clients import Client
from chassis.clock import utc_now
from cli.clients import register
from cli.demo import moving_in
from cli.importing.exchange import SCOPES, Target
from cli.importing.run import run

GOAL = 65_533 / 120
"""The whole log of a real desk in two minutes."""


def log() -> Path | None:
    """The log to play, if one is given."""
    named = os.environ.get("LOG")
    return Path(named) if named else None


async def measure(site: Site) -> Result:
    """One import, from the first command sent to the last answer."""
    path = log()
    assert path is not None, "asked for before anything was started"
    mapping = Path(os.environ.get("MAPPING", ROOT / "examples" / "imports" / "vinst.yaml"))
    client = Client(moving_in.NAME, frozenset(SCOPES.split()), may_act_for_others=True)
    await register(site.running(), client, ("intake", "workflow"))
    target = Target(moving_in.NAME, site.prefix, {"bootstrap_servers": site.bootstrap})
    meter = Meter(site.pids())
    report = await run(path, mapping, target, utc_now())
    cpu = meter.read()
    changes = report["log"]["changes"]
    found = {
        "cases": report["log"]["cases"],
        "changes": changes,
        "seconds": report["seconds"],
        "unanswered": report["unanswered"],
        "unexplained": report["finals"]["unexplained"],
        "cpu_us_per_change": sum(cpu.values()) / changes * 1e6,
        "cpu_us_by_process": {name: used / changes * 1e6 for name, used in cpu.items()},
    }
    rate = changes / report["seconds"]
    return Result("importing", rate, "changes/s", None, round(GOAL), at_least=True, of_ratio=False, details=found)


if __name__ == "__main__":
    if log() is None:
        print("importing: skipped; LOG=file names the log to play")
    else:
        alone("importing", measure, EVERYTHING)
