"""Approvals before a stage may be left: the hand-shake with approvals (semantics, d3).

Workflow asks by `TransitionRequested`; what was asked is pinned by stage, visit and a hash over what the approvers
saw. A grant moves the request only if all of that still holds; else it is stale. One approval is open at a time.
"""

import hashlib
import json
from datetime import timedelta

from chassis.decision import Actor
from workflow.domain import facts, messages, stages
from workflow.domain.facts import By
from workflow.domain.moving import close, enter
from workflow.domain.records import Gate
from workflow.domain.refusals import ApprovalPending
from workflow.domain.state import ServiceRequest, Transition
from workflow.domain.turn import Turn

GRANTED = "granted"


def content_hash(request: ServiceRequest, to_stage: str) -> str:
    """What an approval is bound to: the move, and the fields that its approvers judge."""
    seen = [
        request.stage, to_stage, request.visit_no, request.summary, request.priority, request.charge_revision,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(seen, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def gate_of(turn: Turn) -> Gate | None:
    """The approval that leaving the current stage needs; nobody is asked in history mode."""
    stage = stages.named(turn.definition, turn.request.stage)
    return None if stage is None or turn.in_history else stage.approval


def ask(turn: Turn, gate: Gate, to_stage: str, actor: Actor, closing: bool, charge_revision: int) -> None:
    """Ask for the approval instead of moving."""
    request = turn.request
    if request.transition is not None:
        raise ApprovalPending("an approval is open already", transition_id=str(request.transition.transition_id))
    due_at = None if gate.due_minutes is None else turn.at + timedelta(minutes=gate.due_minutes)
    turn.state(
        facts.TransitionRequested(
            transition_id=turn.known.new_id(0),
            from_stage=request.stage,
            to_stage=to_stage,
            visit_no=request.visit_no,
            content_hash=content_hash(request, to_stage),
            policy=gate.policy,
            approvers=gate.approvers,
            summary=request.summary,
            number=request.number,
            asked_by=By(actor.kind, actor.id),
            due_at=due_at,
            closing=closing,
            charge_revision=charge_revision,
            at=turn.at,
        )
    )


def withdraw(turn: Turn, cause: str) -> None:
    """Take an open approval back, if there is one."""
    waiting = turn.request.transition
    if waiting is not None:
        turn.state(facts.TransitionWithdrawn(waiting.transition_id, cause, turn.at))


def withdraw_if_content_changed(turn: Turn) -> None:
    """Take an open approval back when what its approvers saw is not what there is any more."""
    waiting = turn.request.transition
    if waiting is not None and content_hash(turn.request, waiting.to_stage) != waiting.content_hash:
        withdraw(turn, "edited")


def asked(turn: Turn, message: messages.ApprovalAsked) -> None:
    """Note the approval's file on the transition that it is about; another one changes nothing."""
    waiting = turn.request.transition
    if waiting is not None and waiting.transition_id == message.transition_id:
        turn.state(facts.ApprovalAsked(message.approval_id, message.transition_id))


def settled(turn: Turn, message: messages.ApprovalSettled) -> None:
    """Move on a grant that still fits; say so when it does not; stay when there was no grant."""
    waiting = turn.request.transition
    fits = waiting is not None and waiting.transition_id == message.transition_id
    if message.outcome != GRANTED:
        if fits:
            turn.state(facts.TransitionDenied(message.transition_id, message.approval_id, message.outcome, turn.at))
        return
    cause = None if waiting is None or not fits else _stale(turn.request, waiting, message)
    if waiting is None or not fits or cause is not None:
        turn.state(facts.GrantStale(message.transition_id, message.approval_id, cause or "withdrawn", turn.at))
        return
    _move(turn, waiting)


def _stale(request: ServiceRequest, waiting: Transition, message: messages.ApprovalSettled) -> str | None:
    if message.visit_no != request.visit_no or waiting.from_stage != request.stage:
        return "visit-differs"
    if message.content_hash != content_hash(request, waiting.to_stage):
        return "content-differs"
    return None


def _move(turn: Turn, waiting: Transition) -> None:
    if waiting.closing:
        close(turn, "resolved", waiting.asked_by, waiting.charge_revision, None, waiting.transition_id)
    else:
        enter(turn, waiting.to_stage, "progress", transition_id=waiting.transition_id)
