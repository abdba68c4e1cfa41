"""`throughline reconcile`: every orphan of a running installation, and the one command that mends it."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from chassis.clock import utc_now
from cli import operating, site
from cli.console import JsonFlag, as_json, console, plainly, run
from cli.reconcile import horizon
from cli.reconcile.doors import DoorBooks
from cli.reconcile.heard import Orphan
from cli.reconcile.walking import Outcome, reconcile

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,6})([smhd])")
_STUCK = timedelta(seconds=60)

Since = Annotated[
    str | None, typer.Option(help="Look at what was told since then: 2026-11-24, 2026-11-24T08:00:00Z, 90m, 12h, 7d.")
]


def reconcile_now(
    since: Since = None,
    older_than: Annotated[
        int, typer.Option(min=0, max=31_536_000, help="Seconds; what is younger is still on its way.")
    ] = 60,
    most: Annotated[int, typer.Option(min=1, help="Requests that are looked at again, at most.")] = 500,
    json: JsonFlag = False,
) -> None:
    """Name every fact that should have had an effect and had none, and what mends it; exit status 1 when any has."""
    begun = time.monotonic()
    from_when = moment(since, utc_now()) if since else None
    outcome = run(look(plainly(site.find), from_when, timedelta(seconds=older_than), most))
    if json:
        as_json(report(outcome, time.monotonic() - begun))
    else:
        _show(outcome)
    if not outcome.balanced:
        raise typer.Exit(1)


def moment(said: str, now: datetime) -> datetime:
    """A point in time, or a time ago; one without an offset is UTC. Raises BadParameter."""
    ago = _AGO.fullmatch(said)
    try:
        found = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(said)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{said} is no time", param_hint="--since") from None
    if found > now:
        raise typer.BadParameter(f"{said} is still to come", param_hint="--since")
    return found


async def look(where: site.Site, since: datetime | None, older_than: timedelta, most: int) -> Outcome:
    """Reconcile an installation by its services' doors; see `walking.reconcile`."""
    heard = await horizon.look(where.kafka, where.prefix)
    doors = await operating.doors(where)
    try:
        return await reconcile(DoorBooks(doors), heard, since=since, older_than=older_than, most=most)
    finally:
        await doors.close()


def report(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Everything that was found, for programs."""
    return {
        "at": outcome.bounds.now,
        "since": outcome.bounds.since,
        "requests": outcome.requests,
        "facts": outcome.facts,
        "calls": outcome.pages,
        "seconds": round(seconds, 1),
        "balanced": outcome.balanced,
        "orphans": [_orphan(orphan) for orphan in outcome.orphans],
        "put_away": outcome.put_away,
        "unexamined": outcome.unexamined,
        "on_its_way": list(on_its_way(outcome)),
    }


def _orphan(orphan: Orphan) -> dict[str, Any]:
    fact = orphan.fact
    return {
        "slug": orphan.slug,
        "request_id": None if fact is None else orphan.subject,
        "number": orphan.number,
        "missing_in": orphan.service,
        "fact": None
        if fact is None
        else {
            "id": fact.id,
            "type": fact.type,
            "topic": fact.topic,
            "sequence": fact.sequence,
            "time": fact.time,
            "told_at": fact.since,
        },
        "why": orphan.why,
        "mend": orphan.mend,
    }


def on_its_way(outcome: Outcome) -> Iterator[str]:
    """What holds facts up for longer than a moment; they are no orphans yet."""
    for standing in outcome.standings:
        at, name = datetime.fromisoformat(standing["at"]), standing["service"]
        for what, who in (("unsent_since", "relay"), ("due_since", "timers")):
            if standing[what] and at - datetime.fromisoformat(standing[what]) > _STUCK:
                yield f"{name}: {what.replace('_', ' ')} {standing[what]}; is its {who} up?"
    for (service, topic), records in outcome.horizon.behind.items():
        yield f"{service}: {records} records of {topic} to read"


def _show(outcome: Outcome) -> None:
    for orphan in outcome.orphans:
        console.print(f"{orphan.request}: {orphan.slug}", markup=False)
        if (fact := orphan.fact) is not None:
            where = f", missing in {orphan.service}" if orphan.service else ""
            said = f"{fact.type} {fact.id}, number {fact.sequence} on {fact.topic}, told {fact.since:%Y-%m-%d %H:%M:%S}"
            console.print(f"  {said}{where}", markup=False, soft_wrap=True)
        if orphan.why:
            console.print(f"  {orphan.why}", markup=False, soft_wrap=True)
        console.print(f"  → {orphan.mend}", markup=False, soft_wrap=True)
    for each in on_its_way(outcome):
        console.print(f"on its way: {each}", markup=False, soft_wrap=True)
    console.print(line(outcome), markup=False)


def line(outcome: Outcome) -> str:
    """The reconciliation in one line."""
    scope = f"{outcome.requests} requests, {outcome.facts} facts"
    more = f", {outcome.put_away} put away" if outcome.put_away else ""
    if outcome.balanced:
        return f"reconciliation: balanced, {scope}, 0 orphans{more}"
    left = f", {outcome.unexamined} more requests not looked at" if outcome.unexamined else ""
    return f"reconciliation: NOT balanced, {scope}, {len(outcome.orphans)} orphans{left}{more}"
