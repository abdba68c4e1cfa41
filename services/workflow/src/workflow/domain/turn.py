"""One decision about a request in the making: what was stated so far, and the request as it stands after that."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from chassis.decision import Known
from workflow.domain import facts, sla
from workflow.domain.fold import evolve
from workflow.domain.records import Definition
from workflow.domain.refusals import BackdatedTooFar, EffectiveInFuture
from workflow.domain.state import HISTORY, ServiceRequest

Told = Any


class Turn:
    """Facts are stated one by one; each sees the request that the ones before it left.

    `at` is when the message takes effect, `now` when it is decided; they differ for backdated commands only.
    """

    def __init__(self, request: ServiceRequest, effective_at: datetime | None, now: datetime, known: Known) -> None:
        self.request = request
        self.at = effective(request, effective_at, now)
        self.now = now
        self.known = known
        self.facts: list[Told] = []

    @cached_property
    def definition(self) -> Definition:
        """The version of the queue that the request is pinned to."""
        found: Definition = self.known.require("queue", self.request.definition_key)
        return found

    @property
    def in_history(self) -> bool:
        """Whether the request is being moved in: nobody is asked, told or woken."""
        return self.request.mode == HISTORY

    @property
    def due_at(self) -> datetime | None:
        """The resolution clock's due instant as it stands now."""
        return sla.due(self.request.clock)

    def state(self, fact: Told) -> None:
        """State a fact."""
        self.facts.append(fact)
        self.request = evolve(self.request, fact)

    def state_with_due(self, fact_of: Callable[[datetime | None], Told]) -> None:
        """State a fact that tells the due instant which it brings about itself."""
        after = evolve(self.request, fact_of(None))
        self.state(fact_of(sla.due(after.clock)))

    def settle(self) -> None:
        """State a breach that is due at `at`, before anything else happens (architecture, section 6)."""
        breached_at = sla.breach(self.request.clock, self.at)
        if breached_at is None:
            return
        left = sla.remaining_at(self.request.clock, self.at) or 0
        self.state(facts.SlaBreached(sla.RESOLUTION, breached_at, breached_at, self.now, -left // 1_000_000))


def effective(request: ServiceRequest, effective_at: datetime | None, now: datetime) -> datetime:
    """When a message takes effect: never before the request's last change, never in the future."""
    if effective_at is None:
        return max(now, request.changed_at)
    if effective_at < request.changed_at:
        raise BackdatedTooFar(f"the last change took effect at {request.changed_at.isoformat()}")
    if effective_at > max(now, request.changed_at):
        raise EffectiveInFuture(f"{effective_at.isoformat()} has not come yet")
    return effective_at
