"""A service scaled from one worker to four and back under load (F17), second by second.

python -m testkit.chaos.curve            # prints the curve
python -m testkit.chaos.curve --write    # and puts it into docs/scaling.md
"""

import argparse
import asyncio
import contextlib
import logging
import shutil
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from pathlib import Path
from random import Random
from typing import Final

from aiokafka.errors import KafkaError

from chassis.clock import utc_now
from chassis.ids import new_id
from cli.clients import schemas
from testkit.chaos.commits import commit
from testkit.chaos.crowd import brief_crowd
from testkit.chaos.evidence import per_request
from testkit.chaos.experiment import furnish, quiet
from testkit.chaos.faults import child_of, ready
from testkit.chaos.footprint import footprint
from testkit.chaos.load import Load
from testkit.chaos.operators import another, members
from testkit.chaos.record import written
from testkit.chaos.site import Site
from testkit.chaos.witness import Witness

PAGE: Final = Path("docs/scaling.md")
BEGIN, END = "<!-- curve: made by testkit.chaos.curve -->", "<!-- curve ends -->"
_WORKERS: Final = 4
_LONGEST: Final = 900.0
"""Seconds that the load goes on at the most."""
_LOOK_EVERY: Final = 0.5
_BAR: Final = 40
_ROWS: Final = "SELECT id, created_at FROM {table} WHERE created_at >= $1"


@dataclass(frozen=True)
class Change:
    """A worker that joins or leaves: the seconds of the run from when it was asked to until it had."""

    what: str
    begun: float
    done: float


@dataclass
class Seen:
    """What happened, in seconds of the run."""

    accepted: Mapping[object, float] = field(default_factory=dict)
    """When each request was accepted."""
    heard: Mapping[object, float] = field(default_factory=dict)
    """When the service had heard of each."""
    members: list[tuple[float, int]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    violations: int = 0


def pauses(seen: Seen, after: float) -> list[tuple[Change, float, float]]:
    """Per change: the longest time without hearing anything and the worst delay, until `after` seconds later. Pure."""
    at = sorted(seen.heard.values())
    found = []
    for change in seen.changes:
        until = change.done + after
        within = [change.begun, *at[bisect_left(at, change.begun) : bisect_right(at, until)]]
        delays = [
            seen.heard[request] - moment
            for request, moment in seen.accepted.items()
            if change.begun <= moment <= until and request in seen.heard
        ]
        gaps = (later - earlier for earlier, later in pairwise(within))
        found.append((change, max(gaps, default=0.0), max(delays, default=0.0)))
    return found


def chart(seen: Seen, service: str) -> str:
    """Second by second, as text. Pure."""
    accepted, heard = (Counter(int(at) for at in each.values()) for each in (seen.accepted, seen.heard))
    worst: dict[int, float] = {}
    for request, at in seen.accepted.items():
        worst[int(at)] = max(worst.get(int(at), 0.0), seen.heard.get(request, at) - at)
    most, behind = max(heard.values(), default=1), 0
    shared = {int(at): number for at, number in seen.members}
    lines = [f"second  members  accepted  heard  behind  worst delay   heard by {service}"]
    for second in range(max(accepted.keys() | heard.keys(), default=0) + 1):
        behind += accepted[second] - heard[second]
        bar = "#" * round(_BAR * heard[second] / most)
        known = shared.get(second, "")
        lines.append(
            f"{second:6}  {known:7}  {accepted[second]:8}  {heard[second]:5}  {behind:6}  "
            f"{worst.get(second, 0.0):9.2f} s   {bar}".rstrip()
        )
    return "\n".join(lines)


def page(seen: Seen, service: str, rate: float, hold: float, version: str) -> str:
    """The changes as a table, the curve below. Pure."""
    lines = [
        f"`{service}` at {version}, {rate:.0f} requests a second offered, {len(seen.accepted):,} accepted, "
        f"{len(seen.heard):,} heard, {seen.violations} violations found by the audit of all of them afterwards.",
        "",
        "| change | at | took | longest time without hearing anything | worst delay |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {change.what} | {change.begun:.1f} s | {change.done - change.begun:.1f} s | {gap:.2f} s "
            f"| {delay:.2f} s |"
            for change, gap, delay in pauses(seen, hold)
        ),
        "",
        "```text",
        chart(seen, service),
        "```",
        "",
    ]
    return "\n".join(lines)


async def run(service: str, rate: float, hold: float) -> Seen:
    """One worker, two, three, four, and back to one, each for `hold` seconds; then the audit of everything."""
    home = Path(tempfile.mkdtemp(prefix="throughline-curve-"))
    site = Site(home)
    try:
        await site.start(print)
        await furnish(site)
        witness, before = Witness(site), await footprint(site.running(), site.watch.processes)
        witness.start()
        since = utc_now()
        seen = await _scaled(site, service, rate, hold)
        witness.hindered.append((since, utc_now()))
        seen.violations = len((await witness.settled(Random(0), before, whole=True)).violations)
        await witness.stop()
        return seen
    finally:
        await site.stop()
        shutil.rmtree(home, ignore_errors=True)


async def _scaled(site: Site, service: str, rate: float, hold: float) -> Seen:
    loop, load, seen = asyncio.get_running_loop(), Load(site), Seen()
    await load.start()
    began, since = loop.time(), await _now(site)
    over = asyncio.Event()
    arrivals = takewhile(lambda arrival: not over.is_set(), brief_crowd(1, new_id().hex[:12], rate, _LONGEST))
    playing = asyncio.create_task(load.play(arrivals))
    looking = asyncio.create_task(_members(site, service, seen, began))
    model = site.watch.processes[f"{service}-worker"]
    more = [another(model, n) for n in range(2, _WORKERS + 1)]
    for n, process in enumerate(more, 1):
        await asyncio.sleep(hold)
        begun = loop.time() - began
        await asyncio.to_thread(site.watch.start, process)
        await ready(process)
        seen.changes.append(Change(f"{n} → {n + 1}", begun, loop.time() - began))
    for n, process in zip(range(_WORKERS, 1, -1), reversed(more), strict=True):
        await asyncio.sleep(hold)
        begun = loop.time() - began
        process.wanted = False
        await asyncio.to_thread(child_of(process).stop)
        seen.changes.append(Change(f"{n} → {n - 1}", begun, loop.time() - began))
    await asyncio.sleep(hold)
    over.set()
    await playing
    await load.stop()
    await quiet(site)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    seen.accepted, seen.heard = await _rows(site, "intake", since), await _rows(site, service, since)
    return seen


async def _members(site: Site, service: str, seen: Seen, began: float) -> None:
    """How many members the service's group has, again and again."""
    while True:
        with contextlib.suppress(KafkaError):  # while the group looks for its coordinator
            number = await members(site, service)
            seen.members.append((asyncio.get_running_loop().time() - began, number))
        await asyncio.sleep(_LOOK_EVERY)


async def _now(site: Site) -> datetime:
    async with schemas(site.running()) as visits:
        moments: list[datetime] = [await c.fetchval("SELECT clock_timestamp()") async for _, c in visits]
    return max(moments)


async def _rows(site: Site, service: str, since: datetime) -> dict[object, float]:
    """When each of a service's requests came into being, in seconds since then."""
    async with schemas(site.running()) as visits:
        async for name, connection in visits:
            if name == service:
                rows = await connection.fetch(_ROWS.format(table=per_request(name).table.name), since)
                return {row["id"]: (row["created_at"].astimezone(UTC) - since).total_seconds() for row in rows}
    raise ValueError(service)


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 when something was lost, or is wrong otherwise."""
    parser = argparse.ArgumentParser(prog="python -m testkit.chaos.curve", description=__doc__)
    parser.add_argument("--service", default="workflow")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second")
    parser.add_argument("--hold", type=float, default=8.0, help="seconds between two changes")
    parser.add_argument("--write", action="store_true", help="put it into docs/scaling.md")
    options = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    seen = asyncio.run(run(options.service, options.rate, options.hold))
    text = page(seen, options.service, options.rate, options.hold, commit())
    print(text)
    if options.write:
        PAGE.write_text(written(PAGE.read_text(), text, BEGIN, END))
    return 1 if seen.violations or seen.accepted.keys() - seen.heard.keys() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
