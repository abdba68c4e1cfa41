"""Progress, regress, jump: stages are taken one at a time, but for a request that is being moved in (S25, S55, S56)."""

from workflow.domain import gates, messages, rights, stages
from workflow.domain.moving import enter
from workflow.domain.records import Stage
from workflow.domain.refusals import (
    FieldsMissing,
    LastStage,
    NoPreviousStage,
    NoSuchStage,
    NotInHistoryMode,
    NotTheNextStage,
    NotYours,
    ReasonMissing,
)
from workflow.domain.state import ServiceRequest
from workflow.domain.turn import Turn


def progress(turn: Turn, message: messages.Progress) -> None:
    """Go to the next stage, or ask for the approval that leaving this one needs."""
    request = turn.request
    rights.need_open(request)
    stage, following = current(turn), stages.after(turn.definition, request.stage)
    if not rights.may_complete(message.actor, rights.person_of(message.actor, turn.known), request, stage):
        raise NotYours("only its owner or a holder of the Owner role may do this")
    if following is None or following.state == stages.CLOSED:
        raise LastStage(f"after {request.stage} the request can only be closed")
    if message.to_stage not in (None, following.name):
        raise NotTheNextStage(f"the next stage is {following.name}", next_stage=following.name)
    need_fields(request, stage)
    gate = gates.gate_of(turn)
    if gate is None:
        enter(turn, following.name, "progress")
    else:
        gates.ask(turn, gate, following.name, message.actor, False, request.charge_revision)


def regress(turn: Turn, message: messages.Regress) -> None:
    """Go to the previous stage; says why, and takes an open approval back."""
    request = turn.request
    rights.need_open(request)
    rights.need_edit(message.actor, turn.known, request)
    if not message.reason.strip():
        raise ReasonMissing("say why the request goes back")
    previous = stages.before(turn.definition, request.stage)
    if previous is None:
        raise NoPreviousStage(f"there is nothing before {request.stage}")
    gates.withdraw(turn, "regressed")
    enter(turn, previous.name, "regress", reason=message.reason)


def jump(turn: Turn, message: messages.Jump) -> None:
    """Go to any stage but Closed, as an existing system's log did; the stage it is in already changes nothing."""
    request = turn.request
    rights.need_open(request)
    rights.need_edit(message.actor, turn.known, request)
    if not turn.in_history:
        raise NotInHistoryMode("a live request takes its stages one at a time")
    stage = stages.named(turn.definition, message.to_stage)
    if stage is None or stage.state == stages.CLOSED:
        raise NoSuchStage(f"{message.to_stage} is no stage to jump to; Closed is reached by closing")
    if stage.name != request.stage:
        enter(turn, stage.name, "jump")


def current(turn: Turn) -> Stage:
    """The stage that the request is in."""
    stage = stages.named(turn.definition, turn.request.stage)
    if stage is None:
        raise NoSuchStage(f"{turn.definition.name} has no stage {turn.request.stage}")
    return stage


def need_fields(request: ServiceRequest, stage: Stage) -> None:
    """Refuse to leave a stage whose mandatory fields have no value (S88)."""
    missing = [name for name in stage.mandatory if not _value(request, name)]
    if missing:
        raise FieldsMissing(f"{stage.name} needs {', '.join(missing)}", fields=missing)


def _value(request: ServiceRequest, name: str) -> object:
    known = {"summary": request.summary, "description": request.description, "category": request.category}
    return known[name] if name in known else request.custom.get(name)
