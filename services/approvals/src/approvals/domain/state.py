"""What is known about the approvals of one request: those that are open, and the last that were settled."""

from datetime import datetime
from uuid import UUID

from chassis.decision import record

SETTLED_KEPT = 20
"""How many settled approvals a file remembers so that late votes find them; all of them stand in the tables."""


@record
class Vote:
    """What one person decided: "approve" or "refuse"."""

    person_id: UUID
    decision: str


@record
class Approval:
    """An open approval: who may vote, how many must agree, and who has voted."""

    approval_id: UUID
    transition_id: UUID
    from_stage: str
    to_stage: str
    visit_no: int
    content_hash: str
    approvers: tuple[UUID, ...]
    needed: int
    due_at: datetime
    votes: tuple[Vote, ...] = ()

    def approved(self) -> int:
        """How many agreed."""
        return sum(vote.decision == "approve" for vote in self.votes)

    def refused(self) -> int:
        """How many declined."""
        return sum(vote.decision == "refuse" for vote in self.votes)

    def waiting(self) -> int:
        """How many have not voted yet."""
        return len(self.approvers) - len(self.votes)


@record
class Settled:
    """A settled approval, as far as a late vote needs it."""

    approval_id: UUID
    transition_id: UUID
    outcome: str
    approvers: tuple[UUID, ...]
    voters: tuple[UUID, ...]


@record
class ApprovalFile:
    """All approvals of one request. At most one of them is open for a transition.

    `contact_id` is whose request it is: what is kept about it ends when that contact is erased.
    """

    contact_id: UUID | None = None
    open: tuple[Approval, ...] = ()
    settled: tuple[Settled, ...] = ()

    def find(self, approval_id: UUID) -> Approval | Settled | None:
        """The approval with this id, open or lately settled."""
        each: tuple[Approval | Settled, ...] = (*self.open, *self.settled)
        return next((one for one in each if one.approval_id == approval_id), None)

    def knows(self, transition_id: UUID) -> bool:
        """Whether an approval was already asked for this very transition request."""
        each: tuple[Approval | Settled, ...] = (*self.open, *self.settled)
        return any(one.transition_id == transition_id for one in each)
