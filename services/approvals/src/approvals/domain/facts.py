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
class ApprovalRequested:
    """These people are asked. `approvers` is frozen; it may be empty, and is refused at once then.

    From `from_stage` on the fields are private: they let the state be folded again.
    """

    approval_id: UUID
    transition_id: UUID
    approvers: tuple[UUID, ...]
    policy: Policy
    number: str
    due_at: datetime
    from_stage: str
    to_stage: str
    visit_no: int
    content_hash: str
    needed: int
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


Fact = FileOpened | ApprovalRequested | VoteCast | ApprovalSettled
