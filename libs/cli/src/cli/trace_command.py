"""`throughline trace`: everything that was said about one request, across the services, in order."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table

from cli import operating, site
from cli.console import Failed, JsonFlag, as_json, console, run
from cli.door import Doors
from contracts.registry import SERVICES, TOPICS

_STREAMS = {topic.owner: topic.name for topic in TOPICS if topic.kind == "stream"}
_COLOURS = dict(zip(SERVICES, ("cyan", "green", "yellow", "magenta", "blue"), strict=True))
_SHOWN = 4
_LONGEST = 40


@dataclass(frozen=True)
class Step:
    """One fact, and how long after the one before it came."""

    service: str
    fact: dict[str, Any]
    after_seconds: float | None


def trace(
    request: Annotated[str, typer.Argument(help="Its number (R-000123) or its id.")], json: JsonFlag = False
) -> None:
    """Print a request's whole chain of facts across the services, with the times between them."""
    found = run(_trace(request))
    if json:
        as_json(found)
    else:
        _show(found)


async def _trace(request: str) -> dict[str, Any]:
    doors = await operating.doors(site.find())
    try:
        subject = await operating.subject(doors, request)
        told = await asyncio.gather(*(_facts(doors, service, subject) for service in SERVICES))
        waits = await asyncio.gather(*(_waits(doors, service, subject) for service in SERVICES))
    finally:
        await doors.close()
    if not any(told) and not any(waits):
        raise Failed(f"nothing is known of a request {subject}")
    steps = list(chain(dict(zip(SERVICES, told, strict=True))))
    return {
        "request_id": str(subject),
        "facts": [{"service": s.service, "after_seconds": s.after_seconds, **s.fact} for s in steps],
        "waiting": [each for found in waits for each in found],
    }


async def _facts(doors: Doors, service: str, subject: UUID) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    while True:
        after = facts[-1]["sequence"] if facts else 0
        query = {"subject": str(subject), "topic": _STREAMS[service], "after": after}
        page = (await doors.get(operating.OPERATOR, service, "/facts", **query)).body["items"]
        facts += page
        if not page:
            return facts


async def _waits(doors: Doors, service: str, subject: UUID) -> list[dict[str, Any]]:
    found = (await doors.get(operating.OPERATOR, service, "/waiting", subject=str(subject))).body["items"]
    return [{"service": service, **each} for each in found]


def chain(told: dict[str, list[dict[str, Any]]]) -> Iterator[Step]:
    """The facts of all services as one story: by time, each service's own in its order."""
    merged = [(service, fact) for service, facts in told.items() for fact in facts]
    merged.sort(key=lambda each: (_at(each[1]), each[1].get("hop", 0), each[1]["sequence"]))
    before: datetime | None = None
    for service, fact in merged:
        at = _at(fact)
        yield Step(service, fact, (at - before).total_seconds() if before else None)
        before = at


def _at(fact: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(fact["time"])


def _show(found: dict[str, Any]) -> None:
    table = Table("time", "after", "service", "no.", "fact", "by", "what", box=None, pad_edge=False)
    for fact in found["facts"]:
        name = fact["type"].partition(".")[2].rpartition(".v")[0]
        table.add_row(
            f"{_at(fact):%Y-%m-%d %H:%M:%S.%f}"[:-3],
            _after(fact["after_seconds"]),
            f"[{_COLOURS[fact['service']]}]{fact['service']}[/]",
            str(fact["sequence"]),
            name,
            (fact.get("actor") or {}).get("kind", ""),
            said(fact.get("data") or {}),
        )
    console.print(table)
    for each in found["waiting"]:
        until = each["next_at"] or "an operator decides"
        console.print(f"waiting in {each['service']}: {each['reason']} ({each['detail']}), until {until}", markup=False)


def _after(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"+{seconds * 1000:.0f} ms" if seconds < 1 else f"+{seconds:.1f} s"


def said(data: dict[str, Any]) -> str:
    """The first few short values of a fact, without ids."""
    shown = [f"{name}={value}" for name, value in data.items() if _is_short(name, value)]
    return " ".join(shown[:_SHOWN])


def _is_short(name: str, value: Any) -> bool:
    if value in (None, "", False) or isinstance(value, dict | list) or name.endswith(("_id", "_at", "_hash")):
        return False
    return len(str(value)) <= _LONGEST
