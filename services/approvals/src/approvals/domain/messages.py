"""What an approval file can be told or asked."""

from datetime import datetime
from uuid import UUID

from chassis.decision import Actor, record


@record
class Policy:
    """How many must agree: "any" one, "all", or "k" of those asked."""

    kind: str
    k: int | None = None


@record
class Open:
    """The request has come to life."""

    contact_id: UUID


@record
class Ask:
    """A transition of the request is held back until these people have agreed."""

    transition_id: UUID
    from_stage: str
    to_stage: str
    visit_no: int
    content_hash: str
    policy: Policy
    approvers: tuple[UUID, ...]
    number: str
    summary: str | None
    asked_by: UUID | None
    due_at: datetime | None


@record
class Withdraw:
    """The transition is no longer wanted; `cause` says why."""

    transition_id: UUID
    cause: str


@record
class WithdrawAll:
    """The request left the stage that every open approval was about."""

    cause: str


@record
class CastVote:
    """A person decides on an approval."""

    approval_id: UUID
    decision: str
    comment: str | None
    actor: Actor
