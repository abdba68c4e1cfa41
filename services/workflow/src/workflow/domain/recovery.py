"""What of a request's facts never left, as far as it can be known again after a restore."""

from typing import Any

from chassis.decision import Known, Recalled, changed
from workflow.domain import facts, sla, stages
from workflow.domain.facts import By
from workflow.domain.records import Definition
from workflow.domain.state import ServiceRequest


def complete(request: ServiceRequest | None, fact: Any, recalled: Recalled) -> Any:
    """The fact with the time at which it took effect, its target and what a close was about.

    The text of a note is gone; who wrote it is known.
    """
    if getattr(fact, "at", recalled.at) is None:
        fact = changed(fact, at=recalled.at)
    match fact:
        case facts.RequestOpened(target=None):
            definition = _definition(f"{fact.queue}@{fact.queue_version}", recalled.known)
            return changed(fact, target=_target(definition, fact.priority), occurred_at=fact.occurred_at or recalled.at)
        case facts.PriorityChanged(target=None) if request is not None:
            return changed(fact, target=_target(_definition(request.definition_key, recalled.known), fact.priority))
        case facts.TransitionRequested(closing=False) if request is not None:
            definition = _definition(request.definition_key, recalled.known)
            closing = definition is not None and stages.closed(definition).name == fact.to_stage
            return changed(fact, closing=closing, charge_revision=request.charge_revision)
        case facts.NoteAdded(text=None):
            return changed(fact, by=By(recalled.actor.kind, recalled.actor.id))
    return fact


def _definition(key: str, known: Known) -> Definition | None:
    found: Definition | None = known.get("queue", key)
    return found


def _target(definition: Definition | None, priority: str) -> int | None:
    return None if definition is None else sla.minutes(definition.completion_minutes.get(priority))
