"""What somebody may do with a request now, and why not (S10): the rules themselves are asked."""

from datetime import datetime

from chassis.decision import Actor, Known, Refused
from workflow.domain import messages
from workflow.domain.lifecycle import decide_for_viewer
from workflow.domain.records import Definition
from workflow.domain.state import ServiceRequest

_ANY_TEXT = "?"


def available(
    request: ServiceRequest, definition: Definition, actor: Actor, now: datetime, known: Known
) -> dict[str, str | None]:
    """Each action with None when it is allowed, else the slug of the refusal that it would meet."""
    probes = _probes(request, definition, actor)
    return {name: _refusal(request, probe, now, known) for name, probe in probes.items()}


def _probes(request: ServiceRequest, definition: Definition, actor: Actor) -> dict[str, object]:
    held = {hold.reason for hold in request.holds}
    free = next((reason.name for reason in definition.reasons if reason.name not in held), "")
    return {
        "progress": messages.Progress(None, actor),
        "regress": messages.Regress(_ANY_TEXT, actor),
        "wait": messages.Wait(free, actor),
        "resume": messages.Resume(actor),
        "assign": messages.Assign({"owner_id": request.owner_id}, actor),
        "take-over": messages.TakeOver(actor),
        "change-priority": messages.ChangePriority(request.priority, None, None, actor),
        "edit": messages.Edit({"summary": request.summary}, actor),
        "note": messages.AddNote(_ANY_TEXT, actor),
        "message": messages.PostMessage(_ANY_TEXT, actor),
        "resolve": messages.Close("resolved", None, None, actor),
        "leave-unresolved": messages.Close("unresolved", None, None, actor),
        "cancel": messages.Close("cancelled", None, None, actor),
        "reopen": messages.Reopen(_ANY_TEXT, None, actor),
    }


def _refusal(request: ServiceRequest, probe: object, now: datetime, known: Known) -> str | None:
    try:
        decide_for_viewer(request, probe, now, known)
    except Refused as refused:
        return refused.slug
    return None
