"""What approvals tells: approvals asked, votes, and how they settled. And what it takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import Event, Personal
from contracts.commands.approvals import Decide
from contracts.fields import Count, Decision, Flag, Hash, Ids, Instant, Known, Number, Reason, Slug, Summary, Version
from contracts.policy import Policy

__all__ = ["ApprovalRequested", "ApprovalSettled", "Decide", "Policy", "VoteCast"]


class _Told(Event):
    topic: ClassVar[str] = "approvals.approvals"
    service: ClassVar[str] = "approvals"


class ApprovalRequested(_Told):
    """People are asked to approve a transition. Sent once per transition asked; mails go to the approvers."""

    type: ClassVar[str] = "approvals.approval-requested"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "notifications")

    approval_id: UUID
    transition_id: UUID
    approvers: Annotated[Ids, Field(max_length=200)]
    """Frozen at this moment; empty groups and inactive people are gone already."""
    policy: Policy
    number: Number
    summary: Annotated[Summary | None, Personal()] = None
    due_at: Instant | None = None


class VoteCast(_Told):
    """An approver decided. A late vote is told too, and has no effect."""

    type: ClassVar[str] = "approvals.vote-cast"
    readers: ClassVar[tuple[str, ...]] = ("notifications",)

    approval_id: UUID
    person_id: UUID
    decision: Decision
    comment: Annotated[Reason | None, Personal()] = None
    late: Flag


class ApprovalSettled(_Told):
    """The approval is over. Sent exactly once per approval; workflow moves or frees the request."""

    type: ClassVar[str] = "approvals.approval-settled"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "notifications")

    approval_id: UUID
    transition_id: UUID
    outcome: Annotated[Slug, Known("granted", "refused", "void", "expired")]
    content_hash: Hash
    """What was approved; a grant for other content is stale."""
    visit_no: Version
    approved: Count
    refused: Count
    cause: Slug | None = None
    """Why it is void."""
