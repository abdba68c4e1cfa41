"""What workflow states about a request.

Names and fields are the contract's; beyond it stand `at` (when it took effect) and what only workflow itself needs.
Those have defaults, because they go when the contact is erased; `at` is None then and at no other time.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import record
from workflow.domain.records import Policy

NOBODY = UUID(int=0)


@record
class By:
    """Who did it, as the contract names an actor."""

    kind: str
    id: UUID | None = None


@record
class RequestOpened:
    """The request lives. `target` is the allowed time of its resolution clock in microseconds."""

    number: str
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    queue_version: int
    summary: str | None
    stage: str
    state: str
    visit_no: int
    priority: str
    urgency: str
    impact: str
    owner_id: UUID | None
    team_id: UUID | None
    received_at: datetime
    due_at: datetime | None
    mode: str
    at: datetime | None = None
    target: int | None = None
    description: str | None = None
    category: str | None = None
    custom: dict[str, Any] | None = None
    occurred_at: datetime | None = None
    external_reference: str | None = None


@record
class RequestRejected:
    """The submission could not be opened."""

    reason: str
    detail: str
    number: str = ""
    contact_id: UUID = NOBODY
    queue: str = ""
    queue_version: int = 0
    at: datetime | None = None


@record
class StageChanged:
    """It went to another stage."""

    from_stage: str
    to_stage: str
    state: str
    visit_no: int
    direction: str
    reason: str | None
    transition_id: UUID | None
    due_at: datetime | None
    at: datetime | None = None


@record
class TransitionRequested:
    """Leaving the stage waits for an approval. `close` holds what a resolved close will state when it is granted."""

    transition_id: UUID
    from_stage: str
    to_stage: str
    visit_no: int
    content_hash: str
    policy: Policy
    approvers: tuple[UUID, ...]
    summary: str | None
    number: str
    asked_by: By
    due_at: datetime | None
    closing: bool = False
    charge_revision: int = 0
    at: datetime | None = None


@record
class TransitionWithdrawn:
    """The approval is not wanted any more."""

    transition_id: UUID
    cause: str
    at: datetime | None = None


@record
class GrantStale:
    """A grant came for something that has changed since; it moves nothing."""

    transition_id: UUID
    approval_id: UUID
    cause: str
    at: datetime | None = None


@record
class TransitionDenied:
    """The approval ended without a grant; the request stays where it is and may ask again."""

    transition_id: UUID
    approval_id: UUID
    outcome: str
    at: datetime | None = None


@record
class ApprovalAsked:
    """Approvals named its file."""

    approval_id: UUID
    transition_id: UUID


@record
class WaitBegan:
    """It waits for somebody."""

    reason: str
    pauses: bool
    waiting_for: str
    at: datetime | None = None


@record
class WaitEnded:
    """It waits for that no longer."""

    reason: str
    due_at: datetime | None
    at: datetime | None = None


@record
class OwnerAssigned:
    """Owner or team changed."""

    owner_id: UUID | None
    team_id: UUID | None
    previous_owner_id: UUID | None
    previous_team_id: UUID | None
    at: datetime | None = None


@record
class PriorityChanged:
    """Priority, urgency or impact changed; `target` is the clock's new allowed time."""

    priority: str
    previous: str
    urgency: str
    impact: str
    due_at: datetime | None
    target: int | None = None
    at: datetime | None = None


@record
class RequestEdited:
    """Fields have new values; only those named in `fields` do."""

    summary: str | None
    description: str | None
    category: str | None
    custom: dict[str, Any] | None
    fields: tuple[str, ...]
    at: datetime | None = None


@record
class NoteAdded:
    """An internal note was written; its text never leaves."""

    note_id: UUID
    note_no: int
    text: str | None = None
    by: By = By("system")
    at: datetime | None = None


@record
class MessagePosted:
    """Customer or staff wrote to the other."""

    message_id: UUID
    text: str | None
    by: By
    from_staff: bool
    at: datetime | None = None


@record
class SlaBreached:
    """A clock used up its allowed time."""

    clock: str
    due_at: datetime
    breached_at: datetime
    emitted_at: datetime
    overdue_seconds: int


@record
class RequestClosed:
    """It is done, or given up."""

    outcome: str
    close_no: int
    from_stage: str
    closed_by: By
    charge_revision: int
    elapsed_seconds: int
    breached: bool
    closed_at: datetime
    contact_id: UUID
    number: str
    mode: str


@record
class RequestReopened:
    """It is taken up again."""

    close_no: int
    to_stage: str
    visit_no: int
    reason: str | None
    due_at: datetime | None
    at: datetime | None = None


@record
class WentLive:
    """History mode ended."""

    due_at: datetime | None
    at: datetime | None = None


@record
class ChargesSeen:
    """Billing told a revision of the charges."""

    revision: int


@record
class InvoiceSeen:
    """Billing told an invoice."""

    number: str
    close_no: int
