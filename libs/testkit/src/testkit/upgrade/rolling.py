"""Forth, back and forth again under load, service by service; then quiet, the audit, and the proof that it happened."""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg

from chassis.clock import utc_now
from chassis.ids import new_id
from cli.clients import Where, schemas
from cli.reconcile.heard import Heard
from cli.running.installation import Say
from contracts.registry import SERVICES
from testkit.chaos.experiment import quiet, recovery
from testkit.chaos.footprint import footprint
from testkit.chaos.load import Load, plan
from testkit.chaos.witness import Witness
from testkit.eventually import eventually
from testkit.upgrade.site import Time, UpgradeSite

_STAGE, _CLOSED = "workflow.stage-changed", "workflow.request-closed"
_NEWER = "SELECT subject, detail FROM waiting WHERE reason = 'version-unknown'"
_READ = """
SELECT told.version, noted.recorded_at FROM intake.journal noted
JOIN workflow.journal told ON told.event_id = noted.causation_id
WHERE noted.type = 'intake.status-noted' AND told.type = 'workflow.stage-changed'
"""
_VERSIONS: Final = {"this": 1, "next": 2}
"""What workflow writes of a stage, by its release."""
_READ_WITHIN: Final = 30.0
_KEPT = "SELECT id, visits, (state::jsonb ->> 'visits') AS state FROM intake.submissions WHERE visits IS NOT NULL"
_LOOK_EVERY: Final = 0.2
_LASTING: Final = 600.0
"""Seconds for which lives are planned; the last of them never begin."""


@dataclass
class Passed:
    """What came of it: what is wrong, and figures that show that it happened."""

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)


def orders(chance: random.Random) -> tuple[tuple[str, list[str]], ...]:
    """The releases to turn to, and in which order: any will do, so the writer before its readers, and after them."""
    others = [name for name in SERVICES if name != "workflow"]
    return (
        ("next", ["workflow", *chance.sample(others, len(others))]),
        ("this", [*chance.sample(others, len(others)), "workflow"]),
        ("next", [*chance.sample(others, len(others)), "workflow"]),
    )


async def rolled(site: UpgradeSite, seed: int, rate: float, say: Say) -> Passed:
    """All of it, on a site that is up and furnished."""
    chance, passed, load, witness = random.Random(f"upgrade {seed}"), Passed(), Load(site), Witness(site)
    held = await footprint(site.running(), site.watch.processes)
    await load.start()
    witness.start()
    since = utc_now()
    playing = asyncio.create_task(load.play(plan(seed, new_id().hex[:12], rate, _LASTING)))
    try:
        async with looking(site, passed):
            await site.provisioned("next")
            say("provisioned for the next release")
            for release, services in orders(chance):
                for service in services:
                    await site.turn(service, release)
                    await _met(site)
                say(f"{release}: {', '.join(services)}")
    finally:
        load.no_more()
        await playing
        say("everything asked was answered")
        await load.stop()
    if await recovery(site) is None:
        passed.wrong.append("a request that came afterwards was not heard of everywhere")
    witness.hindered.append((since, utc_now()))
    await quiet(site)
    say("quiet")
    found = await witness.settled(chance, held, whole=True)
    await witness.stop()
    passed.wrong += [str(violation) for violation in found.violations]
    passed.wrong += [f"a process ended with {status}" for status in site.statuses if status != 0]
    passed.operations = site.operations.counts()
    await _proved(site, witness.archive.of(witness.archive.by_subject), passed)
    return passed


@asynccontextmanager
async def looking(site: UpgradeSite, passed: Passed) -> AsyncIterator[None]:
    """Meanwhile, no reader may meet a version that it cannot read."""
    task = asyncio.create_task(_look(site, passed))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _look(site: UpgradeSite, passed: Passed) -> None:
    seen: set[str] = set()
    while True:
        async with schemas(site.running()) as visits:
            async for name, connection in visits:
                seen |= {f"{name}/{row['subject']}: {row['detail']}" for row in await connection.fetch(_NEWER)}
        passed.wrong += sorted(seen - set(passed.wrong))
        await asyncio.sleep(_LOOK_EVERY)


async def _met(site: UpgradeSite) -> None:
    """Wait until intake has read what workflow writes, each of the release it is now; what never came is told later."""
    intake, version = site.time("intake"), _VERSIONS[site.time("workflow").release]

    async def read() -> bool:
        return (await _read(site, [intake]))[version] > 0

    with contextlib.suppress(AssertionError):
        await eventually(read, within=_READ_WITHIN, every=_LOOK_EVERY)


async def _read(site: UpgradeSite, times: list[Time]) -> Counter[int]:
    """How often intake read each version of a stage's fact at these times."""
    rows = await _rows(site.running(), _READ)
    return Counter(row["version"] for row in rows if _within(times, row))


async def _proved(site: UpgradeSite, facts: list[Heard], passed: Passed) -> None:
    """Both versions were told, each was read by both releases, and what is new was kept."""
    told = {2: _told(facts, "move"), 1: _told(facts, "direction")}
    visits: dict[UUID, set[int]] = defaultdict(set)
    for fact in facts:
        if fact.type == _CLOSED and fact.data.get("visits") is not None:
            visits[fact.subject].add(fact.data["visits"])
    kept = await _rows(site.running(), _KEPT)
    passed.figures = {f"told as version {version}": count for version, count in told.items()}
    for release in ("this", "next"):
        read = await _read(site, [each for each in site.times if (each.service, each.release) == ("intake", release)])
        passed.figures |= {f"version {version} read by {release}": read[version] for version in told}
    passed.figures["closed with the new field"] = len(visits)
    passed.figures["closed without it"] = sum(
        1 for fact in facts if fact.type == _CLOSED and fact.data.get("visits") is None
    )
    passed.figures["new field kept"] = len(kept)
    passed.figures["processes exchanged"] = len(site.statuses)
    passed.wrong += [f"nothing: {what}" for what, count in passed.figures.items() if not count]
    passed.wrong += [
        f"intake/{row['id']}: visits {row['visits']} and {row['state']}, told were {visits[row['id']]}"
        for row in kept
        if row["visits"] != row["state"] or int(row["visits"]) not in visits[row["id"]]
    ]


def _told(facts: list[Heard], name: str) -> int:
    return sum(1 for fact in facts if fact.type == _STAGE and name in fact.data)


def _within(times: list[Time], row: Any) -> bool:
    return any(
        each.since < row["recorded_at"] and (each.until is None or row["recorded_at"] < each.until) for each in times
    )


async def _rows(where: Where, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(where.administrator())
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()
