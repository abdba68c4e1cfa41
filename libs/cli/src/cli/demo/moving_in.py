"""An existing system's log moved into the demo's installation, as the operator of a real one would do it."""

from pathlib import Path
from typing import Any

from rich.progress import Progress

from chassis.clients import Client
from chassis.clock import utc_now
from cli.clients import register
from cli.importing.exchange import SCOPES, Target
from cli.importing.run import run
from cli.running.installation import Installation

NAME = "importer"


async def play(installation: Installation, log: Path, mapping: Path, progress: Progress) -> dict[str, Any]:
    """Register the importer as a client and let it play the log; its report."""
    client = Client(NAME, frozenset(SCOPES.split()), may_act_for_others=True)
    await register(installation.running(), client, ("intake", "workflow"))
    target = Target(NAME, installation.prefix, {"bootstrap_servers": installation.bootstrap})
    task = progress.add_task("commands", total=None)

    def begin(total: int) -> Any:
        progress.update(task, total=total)
        return lambda n: progress.advance(task, n)

    return await run(log, mapping, target, utc_now(), begin=begin)
