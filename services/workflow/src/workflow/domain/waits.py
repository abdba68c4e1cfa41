"""Waiting: holds with a reason that the queue names; some let the clock stand still (semantics, d1)."""

from workflow.domain import facts, messages, rights
from workflow.domain.moving import end_holds
from workflow.domain.refusals import AlreadyWaiting, NoSuchReason, NotWaiting
from workflow.domain.turn import Turn

CUSTOMER = "customer"


def wait(turn: Turn, message: messages.Wait) -> None:
    """Begin a hold. Two at once are a union: the clock stands still while any of them pauses it."""
    rights.need_open(turn.request)
    rights.need_edit(message.actor, turn.known, turn.request)
    reason = next((reason for reason in turn.definition.reasons if reason.name == message.reason), None)
    if reason is None:
        raise NoSuchReason(f"{turn.definition.name} knows no reason {message.reason}")
    if any(hold.reason == reason.name for hold in turn.request.holds):
        raise AlreadyWaiting(f"it waits for {reason.name} already")
    turn.state(facts.WaitBegan(reason.name, reason.pauses, reason.waiting_for, turn.at))


def resume(turn: Turn, message: messages.Resume) -> None:
    """End every hold."""
    rights.need_open(turn.request)
    rights.need_edit(message.actor, turn.known, turn.request)
    if not turn.request.holds:
        raise NotWaiting("it does not wait")
    end_holds(turn)
