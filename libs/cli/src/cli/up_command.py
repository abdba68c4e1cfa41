"""`throughline up` and `throughline down`."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from cli.console import Failed, console, plainly, run
from cli.running import directory as places
from cli.running.installation import Installation

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")
_DOWN_WITHIN = 60.0

Directory = Annotated[Path | None, typer.Option("--directory", help="Where its data lies (default: your state home).")]


def up(
    directory: Directory = None, prefix: Annotated[str, typer.Option(help="Put before topics and schemas.")] = ""
) -> None:
    """Start Kafka, PostgreSQL and the five services here, and follow their logs until interrupted."""
    run(_up(directory or places.home(), prefix))


async def _up(home: Path, prefix: str) -> None:
    stop = told_to_stop()
    installation = Installation(home, temporary=False, prefix=prefix)
    starting = asyncio.create_task(installation.start(tell))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            console.print(panel(installation))
            await _until(stop, installation)
        console.print("stopping…")
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        stopped.cancel()
        await installation.stop()


def tell(text: str) -> None:
    """Show a step that is done."""
    console.print(f"[green]✓[/] {text}")


def told_to_stop() -> asyncio.Event:
    """Set by SIGINT, SIGTERM and SIGHUP."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


async def _until(stop: asyncio.Event, installation: Installation) -> None:
    """Follow the logs, one colour a service."""
    processes = list(installation.watch.processes.values())
    files = {process.name: process.log.open("rb") for process in processes}
    try:
        for file in files.values():
            file.seek(0, os.SEEK_END)
        while not stop.is_set():
            for n, (name, file) in enumerate(files.items()):
                for line in file.read().decode(errors="replace").splitlines():
                    console.print(f"[{_COLOURS[n % len(_COLOURS)]}]{name:>14}[/] ", end="")
                    console.print(_readable(line), markup=False, soft_wrap=True)
            try:
                await asyncio.wait_for(stop.wait(), 0.3)
            except TimeoutError:
                continue
    finally:
        for file in files.values():
            file.close()


def _readable(line: str) -> str:
    try:
        said = json.loads(line)
    except ValueError:
        return line
    if not isinstance(said, dict):
        return line
    rest = {k: v for k, v in said.items() if k not in ("event", "level", "timestamp", "service", "logger", "role")}
    words = " ".join(f"{name}={value}" for name, value in rest.items())
    return f"{said.get('level', 'info'):<7} {said.get('event', '')} {words}".rstrip()


def panel(installation: Installation) -> Panel:
    """Where everything is, and tokens to try it with."""
    running = installation.running()
    table = Table.grid(padding=(0, 2))
    for name, address in running.services.items():
        table.add_row(name, f"{address}/{name}/v1")
    table.add_row("Kafka", running.kafka)
    table.add_row("mail sink", running.smtp or "")
    if installation.home != places.home():
        table.add_row("for the command", f"export THROUGHLINE_HOME={installation.home}")
    table.add_row("a token", "throughline token LOGIN --scope 'requests:read requests:write'")
    return Panel(table, title="Throughline is up", expand=False)


def down(directory: Directory = None) -> None:
    """Stop the installation that `throughline up` started here."""
    plainly(lambda: _down(directory or places.home()))


def _down(home: Path) -> None:
    running = places.read(home)
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_WITHIN
    while (home / "running.json").exists():
        if time.monotonic() > deadline:
            raise Failed(f"process {running.pid} did not stop within {_DOWN_WITHIN:.0f} s")
        time.sleep(0.1)
    console.print("down")
