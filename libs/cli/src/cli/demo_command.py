"""`throughline demo`: the sample scenario, or an existing system's log, on a whole installation of its own."""

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from chassis.clock import utc_now
from cli import up_command
from cli.console import Failed, console, run
from cli.demo import showing
from cli.demo.scenes import Played, play_log, play_scenario
from cli.reconcile.report import line, settled, summary
from cli.running import directory as places
from cli.running.installation import Installation

_QUIET_WITHIN = 150.0
"""A mail whose sender was killed in the middle is known to be unknown after two minutes."""

Report = Annotated[Path | None, typer.Option("--report", envvar="REPORT", help="Write the result as JSON.")]
Log = Annotated[Path | None, typer.Option("--log", envvar="LOG", help="Play this system's log instead.")]
Mapping = Annotated[Path | None, typer.Option("--mapping", envvar="MAPPING", help="What the log's columns mean.")]


def demo(
    requests: Annotated[
        int, typer.Option(min=1, max=100_000, envvar="REQUESTS", help="How many requests the scenario has.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed plays the same scenario.")] = 2026,
    report: Report = None,
    log: Log = None,
    mapping: Mapping = None,
    keep: Annotated[
        bool, typer.Option("--keep", envvar="KEEP", help="Stay, with all of it running, until Ctrl-C.")
    ] = False,
    directory: Annotated[Path | None, typer.Option("--directory", help="Keep data and logs here.")] = None,
) -> None:
    """Start everything, play a scenario through the public doors, and balance the books."""
    if (log is None) != (mapping is None):
        raise typer.BadParameter("--log and --mapping go together")
    result = run(_demo(requests, seed, log, mapping, keep, directory))
    if report is not None:
        report.write_text(json.dumps(result, indent=2, default=str) + "\n")
    if not (result["balanced"] and not result["unanswered"] and not result["unexplained"]):
        raise typer.Exit(1)


async def _demo(
    requests: int, seed: int, log: Path | None, mapping: Path | None, keep: bool, directory: Path | None
) -> dict[str, Any]:
    stop = up_command.told_to_stop()
    for left in places.sweep():
        console.print(f"removed {left}, which a demo that was killed had left")
    temporary = directory is None
    home = directory or places.temporary()
    installation = Installation(home, temporary=temporary)
    begun = time.monotonic()
    work = asyncio.create_task(_work(installation, requests, seed, log, mapping))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Failed("interrupted")
        result = work.result()
        result["seconds"] = round(time.monotonic() - begun, 1)
        if keep:
            console.print(up_command.panel(installation))
            await stop.wait()
        return result
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        stopped.cancel()
        await installation.stop()
        if temporary:
            showing.remove(home)


async def _work(
    installation: Installation, requests: int, seed: int, log: Path | None, mapping: Path | None
) -> dict[str, Any]:
    begun = time.monotonic()
    await installation.start(up_command.tell)
    started = time.monotonic()
    if log is not None and mapping is not None:
        played = await play_log(installation, log, mapping)
    else:
        played = await play_scenario(installation, requests, seed)
    ended = time.monotonic()
    ledger, orphans = await settled(installation.bootstrap, installation.prefix, utc_now, within=_QUIET_WITHIN)
    took = {"start": started - begun, "play": ended - started, "settle": time.monotonic() - ended}
    result = {**summary(ledger, orphans), **_extras(installation, played)}
    result["phases"] = {phase: round(seconds, 1) for phase, seconds in took.items()}
    console.print(showing.table(result))
    console.print(line(ledger, orphans))
    for orphan in orphans[:20]:
        console.print(
            f"  {orphan.slug}: {orphan.number or orphan.subject} ({orphan.cause}); {orphan.mend}", markup=False
        )
    return result


def _extras(installation: Installation, played: Played) -> dict[str, Any]:
    taken = installation.sink.taken
    return {
        "unanswered": len(played.unanswered),
        "unanswered_examples": played.unanswered[:5],
        "unexplained": played.unexplained,
        "steps": played.steps,
        "play_seconds": round(played.seconds, 1),
        "mails_taken_by_sink": taken.mails,
        "mails_repeated": taken.repeated,
        "restarts": dict(installation.watch.restarts()) | {"servers": installation.server_restarts},
        **played.report,
    }
