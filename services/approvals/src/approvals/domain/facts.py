"""What becomes true about approvals."""

from datetime import datetime
from uuid import UUID

from approvals.domain.messages import Policy
from chassis.decision import record


@record
class FileOpened:
    """Noted: whose request this is."""

    contact_id: UUID


@record
class ApprovalOpened:
    """Noted, before `ApprovalRequested`: what is approved and what it takes. `approvers` is frozen; it may be empty."""

    approval_id: UUID
    transition_id: UUID
    from_stage: str
    to_stage: str
    visit_no: int
    content_hash: str
    approvers: tuple[UUID, ...]
    needed: int
    due_at: datetime


@record
class ApprovalRequested:
    """These people are asked."""

    approval_id: UUID
    transition_id: UUID
    approvers: tuple[UUID, ...]
    policy: Policy
    number: str
    due_at: datetime
    summary: str | None = None


@record
class VoteCast:
    """A person voted. `late` votes came after the approval was settled and change nothing."""

    approval_id: UUID
    person_id: UUID
    decision: str
    late: bool
    comment: str | None = None


@record
class ApprovalSettled:
    """The approval is over: "granted", "refused", "void" or "expired"."""

    approval_id: UUID
    transition_id: UUID
    outcome: str
    content_hash: str
    visit_no: int
    approved: int
    refused: int
    cause: str | None = None


Fact = FileOpened | ApprovalOpened | ApprovalRequested | VoteCast | ApprovalSettled
