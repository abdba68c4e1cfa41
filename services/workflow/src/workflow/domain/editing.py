"""Editing fields and priority (S54, S114). What approvers were shown cannot change under their approval."""

from workflow.domain import facts, gates, messages, priority, rights, sla
from workflow.domain.refusals import NoSuchPriority, NothingChanges
from workflow.domain.turn import Turn

FIELDS = ("summary", "description", "category", "custom")


def edit(turn: Turn, message: messages.Edit) -> None:
    """Set the named fields; those that have the value already are left out, and none left changes nothing."""
    request = turn.request
    rights.need_open(request)
    rights.need_edit(message.actor, turn.known, request)
    if not message.given:
        raise NothingChanges("name a field")
    changes = {name: message.given[name] for name in FIELDS if name in message.given}
    changes = {name: value for name, value in changes.items() if value != getattr(request, name)}
    if changes:
        turn.state(
            facts.RequestEdited(
                summary=changes.get("summary"),
                description=changes.get("description"),
                category=changes.get("category"),
                custom=changes.get("custom"),
                fields=tuple(changes),
                at=turn.at,
            )
        )
        gates.withdraw_if_content_changed(turn)


def change_priority(turn: Turn, message: messages.ChangePriority) -> None:
    """An explicit priority wins, else the matrix has it; the clock carries what was used so far to the new target."""
    request = turn.request
    rights.need_open(request)
    rights.need_edit(message.actor, turn.known, request)
    if not (message.priority or message.urgency or message.impact):
        raise NothingChanges("name a priority, an urgency or an impact")
    urgency, impact = message.urgency or request.urgency, message.impact or request.impact
    chosen = message.priority or priority.from_matrix(turn.definition, urgency, impact)
    if (chosen, urgency, impact) == (request.priority, request.urgency, request.impact):
        return
    if chosen != request.priority and not priority.knows(turn.definition, chosen):
        raise NoSuchPriority(f"{request.queue} has no priority {chosen}")
    target = sla.minutes(turn.definition.completion_minutes.get(chosen))
    turn.state_with_due(
        lambda due_at: facts.PriorityChanged(chosen, request.priority, urgency, impact, due_at, target, turn.at)
    )
    turn.settle()
    gates.withdraw_if_content_changed(turn)
