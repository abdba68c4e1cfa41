"""When it happened, when it reached us, when we wrote it down (semantics: three times)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from chassis.decision import Actor, record
from intake.domain import access
from intake.domain.limits import Problem

CLOCK_SKEW = timedelta(minutes=5)
"""How far a caller's clock may run ahead of ours."""


@record
class Times:
    """Clocks start at `received_at`; never later than now, and never before `occurred_at`."""

    occurred_at: datetime
    received_at: datetime


def problems(occurred_at: datetime | None, received_at: datetime | None, now: datetime) -> Iterator[Problem]:
    """What is wrong with the times as given: in the future beyond the skew of a clock, or in the wrong order."""
    for pointer, at in (("/occurred_at", occurred_at), ("/received_at", received_at)):
        if at is not None and at > now + CLOCK_SKEW:
            yield pointer, "lies in the future"
    received = min(received_at or now, now)
    if occurred_at is not None and received + CLOCK_SKEW < occurred_at <= now + CLOCK_SKEW:
        yield "/occurred_at", "lies after received_at"


def settle(occurred_at: datetime | None, received_at: datetime | None, now: datetime) -> Times:
    """The times that count: a clock that runs ahead is set to now, and nothing is received before it occurred."""
    received = min(received_at or now, now)
    return Times(min(occurred_at or received, received), received)


def require_right_to_backdate(actor: Actor, received_at: datetime, now: datetime, *, history: bool) -> None:
    """Saying that a request came in before now needs the right, unless history is being brought in."""
    if received_at < now and not history:
        access.require(actor, access.BACKDATE)
