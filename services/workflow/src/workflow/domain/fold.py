"""`evolve`: what each fact makes of a request. Decides nothing, refuses nothing.

Of an erased request the facts have lost what never left the house, their times among it: stage, owner, waits and
outcome fold as ever, the clock only as far as public facts say.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chassis.decision import changed
from workflow.domain import facts, sla
from workflow.domain.state import REJECTED, Closing, Hold, ServiceRequest, Transition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evolve(request: ServiceRequest | None, fact: Any) -> ServiceRequest:
    """The request after `fact`."""
    if isinstance(fact, facts.RequestOpened):
        return _opened(fact)
    if isinstance(fact, facts.RequestRejected):
        return _rejected(fact)
    if request is None:
        raise ValueError(f"{type(fact).__name__} without a request")
    return _FOLDS[type(fact)](request, fact)


def _opened(fact: facts.RequestOpened) -> ServiceRequest:
    return ServiceRequest(
        number=fact.number,
        contact_id=fact.contact_id,
        organisation_id=fact.organisation_id,
        queue=fact.queue,
        queue_version=fact.queue_version,
        mode=fact.mode,
        summary=fact.summary,
        description=fact.description,
        category=fact.category,
        custom=fact.custom or {},
        external_reference=fact.external_reference,
        occurred_at=fact.occurred_at or fact.received_at,
        received_at=fact.received_at,
        changed_at=fact.at or fact.received_at,
        stage=fact.stage,
        state=fact.state,
        visits={fact.stage: fact.visit_no},
        priority=fact.priority,
        urgency=fact.urgency,
        impact=fact.impact,
        clock=sla.start(fact.target, fact.received_at),
        owner_id=fact.owner_id,
        team_id=fact.team_id,
    )


def _rejected(fact: facts.RequestRejected) -> ServiceRequest:
    at = fact.at or _EPOCH
    return ServiceRequest(
        number=fact.number,
        contact_id=fact.contact_id,
        organisation_id=None,
        queue=fact.queue,
        queue_version=fact.queue_version,
        mode="",
        summary=None,
        description=None,
        category=None,
        custom={},
        external_reference=None,
        occurred_at=at,
        received_at=at,
        changed_at=at,
        stage="",
        state=REJECTED,
        visits={},
        priority="",
        urgency="",
        impact="",
        clock=sla.complete(sla.start(None, at), at, cancelled=True),
    )


def _stage_changed(request: ServiceRequest, fact: facts.StageChanged) -> ServiceRequest:
    return changed(
        request,
        stage=fact.to_stage,
        state=fact.state,
        visits={**request.visits, fact.to_stage: fact.visit_no},
        transition=None,
        changed_at=_at(request, fact),
    )


def _transition_requested(request: ServiceRequest, fact: facts.TransitionRequested) -> ServiceRequest:
    transition = Transition(
        fact.transition_id, fact.from_stage, fact.to_stage, fact.visit_no, fact.content_hash, fact.asked_by,
        _at(request, fact), fact.closing, fact.charge_revision,
    )  # fmt: skip
    return changed(request, transition=transition, changed_at=_at(request, fact))


def _transition_over(
    request: ServiceRequest, fact: facts.TransitionWithdrawn | facts.GrantStale | facts.TransitionDenied
) -> ServiceRequest:
    waiting = request.transition
    over = waiting is not None and waiting.transition_id == fact.transition_id
    return changed(
        request, transition=None if over else waiting, changed_at=max(request.changed_at, _at(request, fact))
    )


def _approval_asked(request: ServiceRequest, fact: facts.ApprovalAsked) -> ServiceRequest:
    waiting = request.transition
    if waiting is None or waiting.transition_id != fact.transition_id:
        return request
    return changed(request, transition=changed(waiting, approval_id=fact.approval_id))


def _wait_began(request: ServiceRequest, fact: facts.WaitBegan) -> ServiceRequest:
    at = _at(request, fact)
    hold = Hold(fact.reason, fact.pauses, fact.waiting_for, at)
    clock = sla.pause(request.clock, at) if fact.pauses else request.clock
    return changed(request, holds=(*request.holds, hold), clock=clock, changed_at=_at(request, fact))


def _wait_ended(request: ServiceRequest, fact: facts.WaitEnded) -> ServiceRequest:
    holds = tuple(hold for hold in request.holds if hold.reason != fact.reason)
    still = any(hold.pauses for hold in holds)
    clock = request.clock if still else sla.resume(request.clock, _at(request, fact))
    return changed(request, holds=holds, clock=clock, changed_at=_at(request, fact))


def _owner_assigned(request: ServiceRequest, fact: facts.OwnerAssigned) -> ServiceRequest:
    return changed(request, owner_id=fact.owner_id, team_id=fact.team_id, changed_at=_at(request, fact))


def _priority_changed(request: ServiceRequest, fact: facts.PriorityChanged) -> ServiceRequest:
    return changed(
        request,
        priority=fact.priority,
        urgency=fact.urgency,
        impact=fact.impact,
        clock=request.clock if fact.at is None else sla.carry(request.clock, fact.target, fact.at),
        changed_at=_at(request, fact),
    )


def _edited(request: ServiceRequest, fact: facts.RequestEdited) -> ServiceRequest:
    values = {name: getattr(fact, name) for name in fact.fields}
    if values.get("custom", {}) is None:
        values["custom"] = {}
    return changed(request, changed_at=_at(request, fact), **values)


def _note_added(request: ServiceRequest, fact: facts.NoteAdded) -> ServiceRequest:
    return changed(request, note_no=fact.note_no, changed_at=_at(request, fact))


def _message_posted(request: ServiceRequest, fact: facts.MessagePosted) -> ServiceRequest:
    return changed(request, changed_at=_at(request, fact))


def _breached(request: ServiceRequest, fact: facts.SlaBreached) -> ServiceRequest:
    return changed(request, clock=sla.latch(request.clock, fact.breached_at))


def _closed(request: ServiceRequest, fact: facts.RequestClosed) -> ServiceRequest:
    return changed(
        request,
        closing=Closing(fact.outcome, fact.close_no, fact.from_stage, fact.closed_at),
        close_no=fact.close_no,
        clock=sla.complete(request.clock, fact.closed_at, cancelled=fact.outcome == "cancelled"),
        changed_at=fact.closed_at,
    )


def _reopened(request: ServiceRequest, fact: facts.RequestReopened) -> ServiceRequest:
    return changed(
        request,
        closing=None,
        reopenings=request.reopenings + 1,
        clock=sla.reopen(request.clock, _at(request, fact)),
        changed_at=_at(request, fact),
    )


def _went_live(request: ServiceRequest, fact: facts.WentLive) -> ServiceRequest:
    return changed(request, mode="live", changed_at=_at(request, fact))


def _charges_seen(request: ServiceRequest, fact: facts.ChargesSeen) -> ServiceRequest:
    return changed(request, charge_revision=fact.revision)


def _invoice_seen(request: ServiceRequest, fact: facts.InvoiceSeen) -> ServiceRequest:
    return changed(request, invoice=fact.number)


def _at(request: ServiceRequest, fact: Any) -> datetime:
    """When a fact took effect; of an erased one nothing is known but that it was not before the last."""
    at: datetime | None = fact.at
    return request.changed_at if at is None else at


_FOLDS: dict[type, Callable[[ServiceRequest, Any], ServiceRequest]] = {
    facts.StageChanged: _stage_changed,
    facts.TransitionRequested: _transition_requested,
    facts.TransitionWithdrawn: _transition_over,
    facts.GrantStale: _transition_over,
    facts.TransitionDenied: _transition_over,
    facts.ApprovalAsked: _approval_asked,
    facts.WaitBegan: _wait_began,
    facts.WaitEnded: _wait_ended,
    facts.OwnerAssigned: _owner_assigned,
    facts.PriorityChanged: _priority_changed,
    facts.RequestEdited: _edited,
    facts.NoteAdded: _note_added,
    facts.MessagePosted: _message_posted,
    facts.SlaBreached: _breached,
    facts.RequestClosed: _closed,
    facts.RequestReopened: _reopened,
    facts.WentLive: _went_live,
    facts.ChargesSeen: _charges_seen,
    facts.InvoiceSeen: _invoice_seen,
}
