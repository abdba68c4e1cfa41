"""Close, reopen, go live (S58; semantics, d2)."""

from datetime import timedelta

from workflow.domain import facts, gates, messages, rights, stages
from workflow.domain.facts import By
from workflow.domain.moving import close as state_close
from workflow.domain.moving import enter
from workflow.domain.refusals import (
    NoSuchOutcome,
    NoSuchStage,
    NotClosed,
    NotInHistoryMode,
    NotYours,
    ReasonMissing,
    ReopenWindowPassed,
    TooEarlyToResolve,
)
from workflow.domain.steps import current, need_fields
from workflow.domain.turn import Turn

RESOLVED, UNRESOLVED, CANCELLED = "resolved", "unresolved", "cancelled"


def close(turn: Turn, message: messages.Close) -> None:
    """Resolved from the last working stage, unless the queue permits it earlier; given up from anywhere."""
    request, actor = turn.request, message.actor
    rights.need_open(request)
    if message.outcome not in (RESOLVED, UNRESOLVED, CANCELLED):
        raise NoSuchOutcome(f"{message.outcome} is no outcome")
    own = message.outcome == CANCELLED and rights.is_its_contact(actor, request)
    if not own and not rights.may_edit(actor, rights.person_of(actor, turn.known), request):
        raise NotYours("only its owner or a holder of the Owner role may do this; its contact may cancel it")
    revision = request.charge_revision if message.charge_revision is None else message.charge_revision
    if message.outcome == RESOLVED and _asks(turn, message, revision):
        return
    gates.withdraw(turn, "closed")
    state_close(turn, message.outcome, By(actor.kind, actor.id), revision, message.reason)


def reopen(turn: Turn, message: messages.Reopen) -> None:
    """Take it up again inside the queue's window, whose last instant is inside."""
    request = turn.request
    rights.need_accepted(request)
    rights.need_edit(message.actor, turn.known, request)
    if request.closing is None:
        raise NotClosed("it is open")
    if not message.reason.strip():
        raise ReasonMissing("say why the request is taken up again")
    days = turn.definition.reopen_days
    if days == 0 or turn.at > request.closing.closed_at + timedelta(days=days):
        raise ReopenWindowPassed(f"{days} days after it was closed", reopen_days=days)
    stage = stages.named(turn.definition, message.to_stage or request.closing.from_stage)
    if stage is None or stage.state == stages.CLOSED:
        raise NoSuchStage(f"{message.to_stage} is no stage to work in")
    visit_no, reason = request.visits.get(stage.name, 0) + 1, message.reason
    turn.state_with_due(
        lambda due_at: facts.RequestReopened(request.close_no, stage.name, visit_no, reason, due_at, turn.at)
    )
    enter(turn, stage.name, "reopen", reason=reason)


def go_live(turn: Turn, message: messages.GoLive) -> None:
    """End history mode; a breach that is due by then has been stated before."""
    rights.need_accepted(turn.request)
    rights.need_edit(message.actor, turn.known, turn.request)
    if not turn.in_history:
        raise NotInHistoryMode("it is live already")
    turn.state(facts.WentLive(turn.due_at, turn.at))


def _asks(turn: Turn, message: messages.Close, revision: int) -> bool:
    """Check the guards of a resolved close; True when it now waits for an approval instead."""
    stage = current(turn)
    if stage.name != stages.last_working(turn.definition).name and not turn.definition.early_resolve:
        raise TooEarlyToResolve(f"from {stage.name} it can be closed as unresolved or cancelled only")
    need_fields(turn.request, stage)
    gate = gates.gate_of(turn)
    if gate is not None:
        gates.ask(turn, gate, stages.closed(turn.definition).name, message.actor, True, revision)
    return gate is not None
