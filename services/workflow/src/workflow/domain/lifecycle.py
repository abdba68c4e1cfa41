"""`decide` and `agenda` of a request: every message goes through here, and a breach that is due is stated first."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.decision import Known, TimerDue
from workflow.domain import assignment, closing, editing, facts, gates, messages, rights, sla, steps, waits, writing
from workflow.domain.opening import open_request
from workflow.domain.refusals import NoSuchRequest
from workflow.domain.state import HISTORY, ServiceRequest
from workflow.domain.turn import Turn

SLA_TIMER = "sla"


def decide(request: ServiceRequest | None, message: Any, now: datetime, known: Known) -> Sequence[Any]:
    """The facts that `message` brings about, or a Refused."""
    if isinstance(message, messages.Open):
        return open_request(request, message, now, known)
    if request is None:
        raise NoSuchRequest(rights.NOT_HERE)
    if type(message) in _ASKED and not rights.is_its_contact(message.actor, request):
        rights.need_sight(message.actor, known, request)
    return decide_for_viewer(request, message, now, known)


def decide_for_viewer(request: ServiceRequest, message: Any, now: datetime, known: Known) -> Sequence[Any]:
    """The same of a request that is here, for somebody who may see it."""
    rights.need_accepted(request)
    turn = Turn(request, _effective_at(request, message), now, known)
    turn.settle()
    _RULES[type(message)](turn, message)
    return turn.facts


def agenda(request: ServiceRequest) -> Mapping[tuple[str, str], datetime]:
    """The breach to come; nothing while the request is being moved in."""
    fires = sla.fires(request.clock)
    if fires is None or request.mode == HISTORY:
        return {}
    return {(SLA_TIMER, sla.RESOLUTION): fires}


def _effective_at(request: ServiceRequest, message: Any) -> datetime | None:
    """Backdated commands say it themselves; what is only heard moves the time of a request in history mode nowhere."""
    if type(message) in _ASKED:
        at: datetime | None = message.at
        return at
    return request.changed_at if request.mode == HISTORY else None


def _rang(turn: Turn, message: TimerDue) -> None:
    """Nothing is left to do: what is due was stated by the settle rule."""


def _charges(turn: Turn, message: messages.ChargesChanged) -> None:
    turn.state(facts.ChargesSeen(message.revision))
    gates.withdraw_if_content_changed(turn)


def _invoiced(turn: Turn, message: messages.InvoiceIssued) -> None:
    turn.state(facts.InvoiceSeen(message.number, message.close_no))


_ASKED: dict[type, Callable[[Turn, Any], None]] = {
    messages.Progress: steps.progress,
    messages.Regress: steps.regress,
    messages.Jump: steps.jump,
    messages.Wait: waits.wait,
    messages.Resume: waits.resume,
    messages.Assign: assignment.assign,
    messages.TakeOver: assignment.take_over,
    messages.ChangePriority: editing.change_priority,
    messages.Edit: editing.edit,
    messages.AddNote: writing.add_note,
    messages.PostMessage: writing.post_message,
    messages.Close: closing.close,
    messages.Reopen: closing.reopen,
    messages.GoLive: closing.go_live,
}
_RULES: dict[type, Callable[[Turn, Any], None]] = {
    **_ASKED,
    messages.ApprovalAsked: gates.asked,
    messages.ApprovalSettled: gates.settled,
    messages.ChargesChanged: _charges,
    messages.InvoiceIssued: _invoiced,
    TimerDue: _rang,
}
