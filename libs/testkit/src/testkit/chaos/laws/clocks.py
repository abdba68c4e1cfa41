"""I6: a clock breaches once, never early, and not at all when the request was resolved in time."""

from collections import Counter
from collections.abc import Container, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]

BREACHED = "workflow.sla-breached"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def breaches(evidence: Evidence) -> Iterator[Broken]:
    """One breach per (request, clock, due time); stated after it was due; none after an end in time."""
    times: Counter[tuple[UUID, str, str]] = Counter()
    ended: dict[UUID, datetime] = {}
    for fact in _once(evidence.facts):
        if fact.type == "workflow.request-closed":
            ended[fact.subject] = fact.time
        elif fact.type == "workflow.request-reopened":
            ended.pop(fact.subject, None)
        elif fact.type == BREACHED:
            yield from _breach(fact, ended.get(fact.subject))
            times[fact.subject, fact.data["clock"], fact.data["due_at"]] += 1
    for (subject, clock, due), n in times.items():
        if n > 1:
            yield "breached-twice", f"{subject} {clock}", f"{n} times for {due}"


def _breach(fact: Heard, ended: datetime | None) -> Iterator[Broken]:
    due, emitted = _at(fact.data["due_at"]), _at(fact.data["emitted_at"])
    if emitted < due:
        yield "breached-early", f"{fact.subject} {fact.data['clock']}", f"due {due}, stated {emitted}"
    if ended is not None and ended <= due:
        yield "breached-though-resolved", f"{fact.subject} {fact.data['clock']}", f"due {due}, ended {ended}"


def _once(facts: list[Heard]) -> list[Heard]:
    return list({fact.id: fact for fact in facts}.values())


def wake_ups(evidence: Evidence) -> Iterator[Broken]:
    """Whatever has an agenda is woken for its first entry, or earlier: otherwise that timer never fires."""
    for name, shelf in evidence.shelves.items():
        for row in shelf.rows:
            if row.due is not None and (row.wakes is None or row.wakes > row.due):
                yield "sleeps-too-long", f"{name}.{row.aggregate} {row.subject}", f"due {row.due}, wakes {row.wakes}"


def lateness(facts: list[Heard], told: Container[UUID] | None = None) -> list[float]:
    """Seconds from due (or from when the request was opened, if that was later) to the statement, ascending.

    Of the breaches whose ids are in `told`, or of all.
    """
    opened = {fact.subject: fact.time for fact in facts if fact.type == "workflow.request-opened"}
    found: list[float] = []
    for fact in _once(facts):
        if fact.type == BREACHED and (told is None or fact.id in told):
            data: dict[str, Any] = fact.data
            since = max(_at(data["due_at"]), opened.get(fact.subject, _at(data["due_at"])))
            found.append(max(0.0, (_at(data["emitted_at"]) - since).total_seconds()))
    return sorted(found)
