"""Opening: from a submission to a request that lives."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.decision import Known, Unknown
from workflow.domain import facts, messages, moving, priority, rights, sla, stages
from workflow.domain.facts import By
from workflow.domain.fold import evolve
from workflow.domain.records import Definition, Stage
from workflow.domain.refusals import AlreadyOpen
from workflow.domain.state import HISTORY, ServiceRequest
from workflow.domain.turn import Turn


def open_request(request: ServiceRequest | None, message: messages.Open, now: datetime, known: Known) -> list[Any]:
    """Open the request in New, or where the submission says; or reject the submission for good.

    One that is created closed was done before anybody recorded it: it closes at time zero.
    """
    if request is not None:
        raise AlreadyOpen(f"{request.number} was opened before")
    definition: Definition = known.require("queue", f"{message.queue}@{message.queue_version}")
    stage = stages.first(definition) if message.stage is None else stages.named(definition, message.stage)
    if stage is None:
        detail = f"{message.queue}@{message.queue_version} has no stage {message.stage}"
        return [_rejection(message, "no-such-stage", detail, now)]
    done = stage.state == stages.CLOSED
    at = message.received_at if done or message.mode == HISTORY else max(now, message.received_at)
    opened = _opened(message, definition, stages.last_working(definition) if done else stage, at)
    turn = Turn(evolve(None, opened), None, now, known)
    turn.at = at
    turn.facts.append(opened)
    if done:
        moving.close(turn, "resolved", By(message.submitted_by.kind, message.submitted_by.id), 0, None)
    turn.settle()
    return turn.facts


def _opened(message: messages.Open, definition: Definition, stage: Stage, at: datetime) -> facts.RequestOpened:
    chosen = priority.at_opening(definition, message.priority, message.urgency, message.impact)
    owner_id, team_id = _assignment(message, definition)
    clock = sla.start(sla.minutes(definition.completion_minutes.get(chosen)), message.received_at)
    return facts.RequestOpened(
        number=message.number,
        contact_id=message.contact_id,
        organisation_id=message.organisation_id,
        queue=message.queue,
        queue_version=message.queue_version,
        summary=message.summary,
        stage=stage.name,
        state=stage.state,
        visit_no=1,
        priority=chosen,
        urgency=message.urgency,
        impact=message.impact,
        owner_id=owner_id,
        team_id=team_id,
        received_at=message.received_at,
        due_at=sla.due(clock),
        mode=message.mode,
        at=at,
        target=clock.target,
        description=message.description,
        category=message.category,
        custom=message.custom,
        occurred_at=message.occurred_at,
        external_reference=message.external_reference,
    )


def _assignment(message: messages.Open, definition: Definition) -> tuple[Any, Any]:
    """Who was named; else the creating member of staff (S33); else the queue's settings for contacts (S30)."""
    if message.owner_id is not None or message.team_id is not None:
        return message.owner_id, message.team_id
    if message.submitted_by.kind == rights.PERSON:
        return message.submitted_by.id, None
    if message.submitted_by.kind == rights.CONTACT:
        return definition.owner_id, definition.team_id
    return None, None


def in_vain(request: ServiceRequest | None, message: Any, unknown: Unknown, now: datetime) -> Sequence[Any]:
    """The rejection of a submission whose queue, in the version that it names, has not become known here."""
    if request is not None or not isinstance(message, messages.Open):
        return []
    return [_rejection(message, "queue-unknown", unknown.detail, now)]


def _rejection(message: messages.Open, reason: str, detail: str, now: datetime) -> facts.RequestRejected:
    return facts.RequestRejected(
        reason=reason,
        detail=detail,
        number=message.number,
        contact_id=message.contact_id,
        queue=message.queue,
        queue_version=message.queue_version,
        at=now,
    )
