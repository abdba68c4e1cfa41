"""The hand-shake of workflow with approvals: a transition that needs an approval, from workflow's side."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import ActorRef, Event, Personal
from contracts.fields import Hash, Ids, Instant, Known, Name, Number, Slug, Summary, Version
from contracts.policy import Policy


class WorkflowFact(Event):
    """Told on the stream of workflow."""

    topic: ClassVar[str] = "workflow.requests"
    service: ClassVar[str] = "workflow"


class TransitionRequested(WorkflowFact):
    """Leaving the stage needs an approval; approvals asks it. The request stays until the approval settles."""

    type: ClassVar[str] = "workflow.transition-requested"
    readers: ClassVar[tuple[str, ...]] = ("approvals",)

    transition_id: UUID
    from_stage: Name
    to_stage: Name
    visit_no: Version
    content_hash: Hash
    """Of what is approved; an edit of it makes the approval void."""
    policy: Policy
    approvers: Annotated[Ids, Field(max_length=200)]
    summary: Annotated[Summary | None, Personal()] = None
    number: Number
    asked_by: ActorRef
    due_at: Instant | None = None


class TransitionWithdrawn(WorkflowFact):
    """The approval is not wanted any more; approvals voids it."""

    type: ClassVar[str] = "workflow.transition-withdrawn"
    readers: ClassVar[tuple[str, ...]] = ("approvals",)

    transition_id: UUID
    cause: Annotated[Slug, Known("regressed", "closed", "edited", "superseded")]


class GrantStale(WorkflowFact):
    """A grant came for something that has changed since. It moved nothing."""

    type: ClassVar[str] = "workflow.grant-stale"
    readers: ClassVar[tuple[str, ...]] = ("approvals", "notifications")

    transition_id: UUID
    approval_id: UUID
    cause: Slug
