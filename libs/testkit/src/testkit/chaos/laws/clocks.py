"""I6: a clock breaches once, never early, in time, and not at all when the request was resolved in time."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]

BREACHED = "workflow.sla-breached"
BOUND: Final = 1.0
"""Seconds after its due time within which a breach is stated when nothing stands in its way."""

Span = tuple[datetime, datetime]
"""From the strike of a fault until the installation had recovered from it."""


class Late(NamedTuple):
    """A breach: since when it could be stated, and when it was. All of it by the database's clock."""

    id: UUID
    subject: UUID
    clock: str
    since: datetime
    stated: datetime

    @property
    def seconds(self) -> float:
        """From the one to the other."""
        return max(0.0, (self.stated - self.since).total_seconds())


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


def stated_in_time(evidence: Evidence) -> Iterator[Broken]:
    """Every breach is stated within the bound, the time not counted in which a fault stood in its way."""
    for late in lates(evidence.facts):
        seconds = unhindered(late, evidence.hindered)
        if seconds > BOUND:
            told = f"could be stated {late.since}, was {late.stated}: {seconds:.2f} s late without a fault in the way"
            yield "breached-late", f"{late.subject} {late.clock}", told


def lates(facts: Iterable[Heard], told: Container[UUID] | None = None) -> list[Late]:
    """The breaches among some facts: of those whose ids are in `told`, or of all.

    One could be stated from its due time on, or from when the request was opened, if that was later.
    """
    once = _once(list(facts))
    opened = {fact.subject: fact.time for fact in once if fact.type == "workflow.request-opened"}
    found: list[Late] = []
    for fact in once:
        if fact.type == BREACHED and (told is None or fact.id in told):
            due = _at(fact.data["due_at"])
            since = max(due, opened.get(fact.subject, due))
            found.append(Late(fact.id, fact.subject, fact.data["clock"], since, _at(fact.data["emitted_at"])))
    return found


def unhindered(late: Late, hindered: Iterable[Span]) -> float:
    """The seconds that a breach was late, without those in which a fault stood in its way. Pure."""
    seconds, counted = late.seconds, late.since
    for struck, recovered in sorted(hindered):
        begins, ends = max(counted, struck), min(late.stated, recovered)
        if begins < ends:
            seconds, counted = seconds - (ends - begins).total_seconds(), ends
    return max(0.0, seconds)
