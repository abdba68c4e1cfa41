"""I6: no breach is left out, and each is of the due time that was told last. Decided by workflow's facts alone.

Neither wake-ups nor agendas are asked: these are made by the code that might forget a breach.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence, first_told
from testkit.chaos.laws.clocks import BOUND, BREACHED, Late, unhindered

Broken = tuple[str, str, str]

TOLD_WITHIN: Final = 5.0
"""Seconds more until what is stated can be read on its topic."""
_CLOCK: Final = "resolution"
_OPENED, _LIVE = "workflow.request-opened", "workflow.went-live"
_WAITS, _CLOSED = "workflow.wait-began", "workflow.request-closed"
_STAGE: Final = "workflow.stage-changed"
_MOVED: Final = (
    _STAGE,
    "workflow.wait-ended",
    "workflow.priority-changed",
    "workflow.request-reopened",
)
"""What tells a due time of a request that is open already. Before any of them, what is due by then is stated."""


@dataclass
class _Clock:
    """The clock of one request as far as it was told. `due` is None while it stands still or nothing is due."""

    due: datetime | None = None
    opened: datetime | None = None
    live: bool = True
    waits: bool = False
    """Whether it stands still since the last due time was told."""
    breached: bool = False

    def tell(self, due_at: str | None) -> None:
        """From now on it is due then; what has breached does so no more, not even when it is reopened."""
        self.due = datetime.fromisoformat(due_at) if due_at and not self.breached else None
        self.waits = False


def every_breach_is_stated(evidence: Evidence) -> Iterator[Broken]:
    """Once a clock that runs has passed its due time, its breach is told: before anything else that moves the request.

    At the end with the usual allowance, and not counting the time in which a fault stood in the way.
    """
    for subject, facts in first_told(evidence.facts, "workflow").items():
        clock, where = _Clock(), f"{subject} {_CLOCK}"
        for fact in facts:
            for name, told in _follow(clock, fact):
                yield name, where, told
        if evidence.at is not None and clock.due is not None and clock.live:
            late = Late(subject, subject, _CLOCK, max(clock.due, clock.opened or clock.due), evidence.at)
            seconds = unhindered(late, evidence.hindered)
            if seconds > BOUND + TOLD_WITHIN:
                yield "never-breached", where, f"due {clock.due}, not stated by {evidence.at}: {seconds:.2f} s"


def _follow(clock: _Clock, fact: Heard) -> Iterator[tuple[str, str]]:
    """What is wrong about one fact of a request, after those before it; the clock goes on."""
    data = fact.data
    if fact.type == BREACHED:
        if data["clock"] == _CLOCK:
            yield from _breached(clock, data)
        return
    if fact.type == _STAGE and data["state"] == "closed":  # the close itself follows, and says when it took effect
        return
    if clock.live and clock.due is not None and (at := _moved_at(fact)) is not None and at > clock.due:
        yield "never-breached", f"due {clock.due}, and {fact.type} took effect at {at} without a breach before it"
        clock.breached, clock.due = True, None
    if fact.type == _OPENED:
        clock.opened, clock.live = fact.time, data.get("mode", "live") == "live"
    if fact.type == _LIVE:
        clock.live = True
    if fact.type in (*_MOVED, _OPENED, _LIVE):
        clock.tell(data.get("due_at"))
    elif fact.type == _CLOSED:
        clock.tell(None)
    elif fact.type == _WAITS and data["pauses"]:
        clock.due, clock.waits = None, True


def _moved_at(fact: Heard) -> datetime | None:
    """When a fact moved its request; None of one before which nothing need be stated.

    A close says it: what was submitted as done closes as of when it was received.
    """
    if fact.type == _CLOSED:
        return datetime.fromisoformat(fact.data["closed_at"])
    return fact.time if fact.type in (*_MOVED, _WAITS) else None


def _breached(clock: _Clock, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A breach is of the time that was told last; a priority may have changed that to one that had passed already."""
    due = datetime.fromisoformat(data["due_at"])
    if clock.due is not None and due != clock.due:
        yield "breached-otherwise", f"told to be due {clock.due}, breached as due {due}"
    elif clock.waits:
        yield "breached-otherwise", f"breached as due {due} while it stood still"
    clock.breached = True
    clock.tell(None)
