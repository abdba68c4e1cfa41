"""What workflow tells of the life of a request, its catalogue and its people. And what it takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import ActorRef, Personal
from contracts.catalogue import ApprovalGate, CurrentQueue, Person, QueueDefinition, StageDefinition, Team, WaitReason
from contracts.commands.workflow import (
    AddNote,
    Assign,
    ChangePriority,
    Close,
    DraftQueue,
    Edit,
    GoLive,
    Jump,
    PostMessage,
    Progress,
    PublishQueue,
    RegisterPerson,
    RegisterTeam,
    Regress,
    Reopen,
    Resume,
    TakeOver,
    UpdatePerson,
    Wait,
)
from contracts.fields import (
    Count,
    Custom,
    Flag,
    Instant,
    Known,
    Level,
    LongText,
    Mode,
    Name,
    Number,
    Outcome,
    Reason,
    Slug,
    State,
    Summary,
    Text,
    Version,
    WaitingFor,
)
from contracts.policy import Policy
from contracts.transitions import GrantStale, TransitionRequested, TransitionWithdrawn, WorkflowFact

__all__ = [
    "AddNote",
    "ApprovalGate",
    "Assign",
    "ChangePriority",
    "Close",
    "CurrentQueue",
    "DraftQueue",
    "Edit",
    "GoLive",
    "GrantStale",
    "Jump",
    "MessagePosted",
    "NoteAdded",
    "OwnerAssigned",
    "Person",
    "Policy",
    "PostMessage",
    "PriorityChanged",
    "Progress",
    "PublishQueue",
    "QueueDefinition",
    "RegisterPerson",
    "RegisterTeam",
    "Regress",
    "Reopen",
    "RequestClosed",
    "RequestEdited",
    "RequestOpened",
    "RequestRejected",
    "RequestReopened",
    "Resume",
    "SlaBreached",
    "StageChanged",
    "StageDefinition",
    "TakeOver",
    "Team",
    "TransitionRequested",
    "TransitionWithdrawn",
    "UpdatePerson",
    "Wait",
    "WaitBegan",
    "WaitEnded",
    "WaitReason",
    "WentLive",
]


class RequestOpened(WorkflowFact):
    """The request lives: it stands in a stage and, when live, its clock runs. The first fact of every request here."""

    type: ClassVar[str] = "workflow.request-opened"
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "billing", "notifications")

    number: Number
    contact_id: UUID
    organisation_id: UUID | None = None
    queue: Slug
    queue_version: Version
    summary: Annotated[Summary | None, Personal()] = None
    stage: Name
    state: State
    visit_no: Version
    """Counts visits to stages; a request that comes back to a stage visits it anew."""
    priority: Level
    urgency: Level
    impact: Level
    owner_id: UUID | None = None
    team_id: UUID | None = None
    received_at: Instant
    due_at: Instant | None = None
    mode: Mode = "live"


class RequestRejected(WorkflowFact):
    """A submission could not be opened. Nothing else follows for this request."""

    type: ClassVar[str] = "workflow.request-rejected"
    readers: ClassVar[tuple[str, ...]] = ("intake", "notifications")

    reason: Slug
    detail: Reason


class StageChanged(WorkflowFact):
    """The request went to another stage. A close or a reopening tells this too, together with its own fact."""

    type: ClassVar[str] = "workflow.stage-changed"
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "notifications")

    from_stage: Name
    to_stage: Name
    state: State
    visit_no: Version
    direction: Annotated[Slug, Known("progress", "regress", "jump", "close", "reopen")]
    reason: Annotated[Reason | None, Personal()] = None
    transition_id: UUID | None = None
    """The approved transition that this carries out."""
    due_at: Instant | None = None


class WaitBegan(WorkflowFact):
    """The request waits for somebody; the clock stands still when the reason pauses it."""

    type: ClassVar[str] = "workflow.wait-began"
    readers: ClassVar[tuple[str, ...]] = ("intake", "notifications")

    reason: Name
    pauses: Flag
    waiting_for: WaitingFor


class WaitEnded(WorkflowFact):
    """The request waits for that no longer; a clock that stood still has a new due time."""

    type: ClassVar[str] = "workflow.wait-ended"
    readers: ClassVar[tuple[str, ...]] = ("intake",)

    reason: Name
    due_at: Instant | None = None


class OwnerAssigned(WorkflowFact):
    """Owner or team changed. Null is nobody."""

    type: ClassVar[str] = "workflow.owner-assigned"
    readers: ClassVar[tuple[str, ...]] = ("notifications",)

    owner_id: UUID | None = None
    team_id: UUID | None = None
    previous_owner_id: UUID | None = None
    previous_team_id: UUID | None = None


class PriorityChanged(WorkflowFact):
    """The priority changed, by hand or through urgency and impact; the due time follows."""

    type: ClassVar[str] = "workflow.priority-changed"
    readers: ClassVar[tuple[str, ...]] = ("notifications",)

    priority: Level
    previous: Level
    urgency: Level
    impact: Level
    due_at: Instant | None = None


class RequestEdited(WorkflowFact):
    """Fields have new values. Only those named in `fields` do; null there means emptied."""

    type: ClassVar[str] = "workflow.request-edited"
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "notifications")

    summary: Annotated[Summary | None, Personal()] = None
    description: Annotated[LongText | None, Personal()] = None
    category: Name | None = None
    custom: Annotated[Custom | None, Personal()] = None
    fields: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=60)]


class NoteAdded(WorkflowFact):
    """An internal note was written. Its text stays inside."""

    type: ClassVar[str] = "workflow.note-added"
    readers: ClassVar[tuple[str, ...]] = ("insights",)

    note_id: UUID
    note_no: Version


class MessagePosted(WorkflowFact):
    """Customer or staff wrote to the other; the other side is told."""

    type: ClassVar[str] = "workflow.message-posted"
    readers: ClassVar[tuple[str, ...]] = ("notifications",)

    message_id: UUID
    text: Annotated[Text | None, Personal()] = None
    by: ActorRef
    from_staff: Flag


class SlaBreached(WorkflowFact):
    """A clock of an open request used up its allowed time. Sent once per clock and cycle; exactly on time is no breach.

    `emitted_at` is later than `breached_at` after an outage, or when nothing was due to look.
    """

    type: ClassVar[str] = "workflow.sla-breached"
    readers: ClassVar[tuple[str, ...]] = ("notifications",)

    clock: Annotated[Slug, Known("resolution")]
    due_at: Instant
    breached_at: Instant
    emitted_at: Instant
    overdue_seconds: Count


class RequestClosed(WorkflowFact):
    """The request is done or given up. Sent once per close; `close_no` counts them, billing answers each."""

    type: ClassVar[str] = "workflow.request-closed"
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "billing", "notifications")

    outcome: Outcome
    close_no: Version
    from_stage: Name
    closed_by: ActorRef
    charge_revision: Count
    """The charges that whoever closed had seen; others make a draft instead of an invoice."""
    elapsed_seconds: Count
    """On the resolution clock, pauses left out."""
    breached: Flag
    closed_at: Instant
    contact_id: UUID
    number: Number
    mode: Mode = "live"


class RequestReopened(WorkflowFact):
    """A closed request is taken up again; charges may be logged anew."""

    type: ClassVar[str] = "workflow.request-reopened"
    readers: ClassVar[tuple[str, ...]] = ("intake", "billing", "notifications")

    close_no: Version
    """The close that this ends."""
    to_stage: Name
    visit_no: Version
    reason: Annotated[Reason | None, Personal()] = None
    due_at: Instant | None = None


class WentLive(WorkflowFact):
    """A request that was moved in lives from here on: timers, mails and invoices begin."""

    type: ClassVar[str] = "workflow.went-live"
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "billing", "notifications")

    due_at: Instant | None = None
