"""`throughline import`: the command line around an import."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from chassis.clock import utc_now
from cli.console import Failed
from cli.importing.exchange import NotReady, Target
from cli.importing.log import WrongLog
from cli.importing.mapping import WrongMapping
from cli.importing.run import run
from cli.running import directory

errors = Console(stderr=True, highlight=False)
out = Console(highlight=False)

_SHOWN = 10
"""Unreadable rows under the table."""


def import_log(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="The log: CSV, also .gz, one row a change.")],
    mapping: Annotated[Path, typer.Option(help="What its columns and statuses mean (docs/import.md).")],
    report: Annotated[Path | None, typer.Option(help="Where to write the report as JSON.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most so many commands a second.")] = None,
    client: Annotated[str, typer.Option(help="The registered client to speak as.")] = "importer",
    kafka: Annotated[str | None, typer.Option(help="host:port; the installation that is up here without it.")] = None,
    prefix: Annotated[str, typer.Option(help="The installation's prefix, with --kafka.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Play an existing system's log into this installation, in history mode."""
    try:
        target = _target(client, kafka, prefix)
        found = asyncio.run(_run(log, mapping, target, rate, quiet=as_json))
    except (WrongMapping, WrongLog, NotReady, Failed) as error:
        errors.print(f"throughline: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    if report is not None:
        report.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        show(found, out)
    if found["unanswered"] or found["finals"]["unexplained"]:
        raise typer.Exit(1)


def show(found: dict[str, Any], console: Console) -> None:
    """A report as a table."""
    log, finals, submissions, commands = found["log"], found["finals"], found["submissions"], found["commands"]
    table = Table("what", "how many", show_header=False, title="Import")
    for what, figure in (
        ("cases / changes in the log", f"{log['cases']} / {log['changes']}"),
        ("unreadable rows", _counted(log["unreadable"], log["unreadable_by_reason"])),
        ("submissions accepted", submissions["accepted"]),
        ("submissions refused", _counted(sum(submissions["refused"].values()), submissions["refused"])),
        ("commands applied", commands["applied"]),
        ("commands refused", _counted(sum(commands["refused"].values()), commands["refused"])),
        ("unanswered", found["unanswered"]),
        ("requests exactly as the log ends", f"{finals['exact']} of {finals['compared']}"),
        ("requests that differ", _counted(sum(finals["differences"].values()), finals["differences"])),
        ("unexplained", finals["unexplained"]),
        ("breaches", found["breaches"]),
        ("hours waited", ", ".join(f"{reason} {hours}" for reason, hours in found["hours_waited"].items()) or "none"),
        ("seconds", f"{found['seconds']} ({found['changes_per_second']} changes/s)"),
    ):
        table.add_row(what, str(figure))
    console.print(table)
    for bad in log["unreadable_rows"][:_SHOWN]:
        console.print(f"  line {bad['line']}: {bad['reason']} ({bad['detail']})", markup=False, soft_wrap=True)
    if log["unreadable"] > _SHOWN:
        console.print(f"  … and {log['unreadable'] - _SHOWN} more; --report FILE lists them")


async def _run(log: Path, mapping: Path, target: Target, rate: float | None, *, quiet: bool) -> dict[str, Any]:
    with _bar(quiet) as bar:

        def begin(total: int) -> Callable[[int], None]:
            task = bar.add_task("importing", total=total, rate=0)
            return lambda n: _done(bar, task, n)

        return await run(log, mapping, target, utc_now(), rate=rate, begin=begin)


def _bar(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} commands/s"),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=errors,
        disable=quiet or not errors.is_terminal,
        expand=False,
    )


def _done(bar: Progress, task: TaskID, n: int) -> None:
    speed = bar.tasks[task].speed
    bar.update(task, advance=n, rate=round(speed) if speed else 0)


def _target(client: str, kafka: str | None, prefix: str) -> Target:
    if kafka is not None:
        return Target(client, prefix, {"bootstrap_servers": kafka})
    running = directory.read()
    return Target(client, running.prefix, {"bootstrap_servers": running.kafka})


def _counted(total: int, by_reason: dict[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in by_reason.items())
    return f"{total} ({reasons})" if reasons else str(total)
