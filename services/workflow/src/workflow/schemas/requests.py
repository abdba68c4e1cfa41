"""A request as it is shown, in a list and in the answer to a command."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel

from chassis.projection import Projection, Shown
from workflow.domain import facts, sla, stages
from workflow.domain.records import Definition
from workflow.domain.state import ServiceRequest


class ClockView(BaseModel):
    """The resolution clock at the moment of asking. `remaining_seconds` is negative when overdue."""

    phase: str
    paused: bool
    target_seconds: int | None
    elapsed_seconds: int
    paused_seconds: int
    remaining_seconds: int | None
    due_at: datetime | None
    breached: bool
    breached_at: datetime | None

    @classmethod
    def of(cls, clock: sla.Clock, now: datetime) -> Self:
        """What the clock shows at `now`, a breach that nobody stated yet included."""
        left = sla.remaining_at(clock, now)
        breached_at = clock.breached_at or sla.breach(clock, now)
        return cls(
            phase=clock.phase,
            paused=clock.phase == sla.PAUSED,
            target_seconds=None if clock.target is None else clock.target // 1_000_000,
            elapsed_seconds=sla.elapsed_at(clock, now) // 1_000_000,
            paused_seconds=sla.paused_at(clock, now) // 1_000_000,
            remaining_seconds=None if left is None else left // 1_000_000,
            due_at=sla.due(clock),
            breached=breached_at is not None,
            breached_at=breached_at,
        )


class StageView(BaseModel):
    """One stage of the progress bar; `visits` counts how often it was entered."""

    name: str
    state: str
    assignee: str
    needs_approval: bool
    visits: int


class WaitView(BaseModel):
    """A wait that has not ended."""

    reason: str
    pauses: bool
    waiting_for: str
    since: datetime


class ApprovalView(BaseModel):
    """A move that waits for an approval."""

    transition_id: UUID
    approval_id: UUID | None
    to_stage: str
    asked_at: datetime


class ClosingView(BaseModel):
    """The last close."""

    outcome: str
    close_no: int
    from_stage: str
    closed_at: datetime


class RequestView(BaseModel):
    """One request. `actions` says of each whether it is allowed now: null, or why not (S10)."""

    request_id: UUID
    edit_version: int
    number: str
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    queue_version: int
    mode: str
    summary: str | None
    description: str | None
    category: str | None
    custom: dict[str, Any]
    external_reference: str | None
    stage: str
    state: str
    visit_no: int
    stages: Sequence[StageView]
    priority: str
    urgency: str
    impact: str
    owner_id: UUID | None
    team_id: UUID | None
    occurred_at: datetime
    received_at: datetime
    clock: ClockView
    waits: Sequence[WaitView]
    approval: ApprovalView | None
    closing: ClosingView | None
    reopenings: int
    your_action_is_required: bool
    actions: dict[str, str | None]
    charge_revision: int | None
    invoice: str | None
    note_no: int | None
    blocked: str | None

    @classmethod
    def of(
        cls,
        request_id: UUID,
        request: ServiceRequest,
        definition: Definition | None,
        now: datetime,
        *,
        edit_version: int,
        actions: dict[str, str | None],
        for_contact: bool,
        blocked: str | None,
    ) -> Self:
        """The view; a contact sees neither charges nor that there are notes (semantics, d7)."""
        listed = definition.stages if definition else ()
        current = stages.named(definition, request.stage) if definition else None
        return cls(
            request_id=request_id,
            edit_version=edit_version,
            visit_no=request.visit_no,
            stages=[_stage(stage, request) for stage in listed],
            clock=ClockView.of(request.clock, now),
            waits=[WaitView.model_validate(hold, from_attributes=True) for hold in request.holds],
            approval=_optional(ApprovalView, request.transition),
            closing=_optional(ClosingView, request.closing),
            your_action_is_required=for_contact and _asks_the_contact(request, current),
            actions=actions,
            charge_revision=None if for_contact else request.charge_revision,
            invoice=None if for_contact else request.invoice,
            note_no=None if for_contact else request.note_no,
            blocked=None if for_contact else blocked,
            **{name: getattr(request, name) for name in _SAME},
        )


_SAME = (
    "number", "contact_id", "organisation_id", "queue", "queue_version", "mode", "summary", "description", "category",
    "custom", "external_reference", "stage", "state", "priority", "urgency", "impact", "owner_id", "team_id",
    "occurred_at", "received_at", "reopenings",
)  # fmt: skip


class RequestRow(BaseModel):
    """One request in a list."""

    id: UUID
    number: str
    summary: str | None
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    stage: str
    priority: str
    owner_id: UUID | None
    team_id: UUID | None
    received_at: datetime
    due_at: datetime | None
    closed_at: datetime | None


_ROW = Projection(RequestRow, ServiceRequest)


def row_of(row: Record) -> Shown[RequestRow]:
    """A row of the table as one of a list."""
    return _ROW.of(row["state"], id=row["id"], due_at=row["due_at"], closed_at=row["closed_at"])


def answer(request_id: UUID, request: ServiceRequest, told: Sequence[Any]) -> dict[str, Any]:
    """What a command on a request is answered: where it stands now, and the ids of what was made."""
    body: dict[str, Any] = {
        "request_id": request_id,
        "number": request.number,
        "stage": request.stage,
        "state": request.state,
        "visit_no": request.visit_no,
        "priority": request.priority,
        "owner_id": request.owner_id,
        "team_id": request.team_id,
        "waits": [hold.reason for hold in request.holds],
        "due_at": sla.due(request.clock),
        "breached": request.clock.breached_at is not None,
        "close_no": request.close_no,
        "transition_id": request.transition.transition_id if request.transition else None,
    }
    for fact in told:
        if isinstance(fact, facts.NoteAdded):
            body |= {"note_id": fact.note_id, "note_no": fact.note_no}
        elif isinstance(fact, facts.MessagePosted):
            body["message_id"] = fact.message_id
    return body


def _stage(stage: Any, request: ServiceRequest) -> StageView:
    return StageView(
        name=stage.name,
        state=stage.state,
        assignee=stage.assignee,
        needs_approval=stage.approval is not None,
        visits=request.visits.get(stage.name, 0),
    )


def _optional(view: type[BaseModel], value: Any) -> Any:
    return None if value is None else view.model_validate(value, from_attributes=True)


def _asks_the_contact(request: ServiceRequest, stage: Any) -> bool:
    waits = any(hold.waiting_for == "customer" for hold in request.holds)
    return not request.is_closed and (waits or (stage is not None and stage.assignee == "client"))
