"""The documents of workflow: queue definitions, and the staff with its teams."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import Document, Part, Personal
from contracts.fields import (
    Days,
    Email,
    Flag,
    Ids,
    Instant,
    Known,
    Level,
    Login,
    Minutes,
    Name,
    Slug,
    State,
    Version,
    WaitingFor,
)
from contracts.policy import Policy

FieldName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$")]


class ApprovalGate(Part):
    """The approval that leaving a stage needs."""

    policy: Policy
    approvers: Annotated[Ids, Field(min_length=1, max_length=200)]
    due_minutes: Minutes | None = None
    """Asked for longer than this, it expires."""


class StageDefinition(Part):
    """One stage of a queue."""

    name: Name
    state: State
    assignee: Annotated[Slug, Known("staff", "client")] = "staff"
    """Who completes it."""
    approval: ApprovalGate | None = None
    mandatory: Annotated[tuple[FieldName, ...], Field(max_length=50)] = ()
    """Fields without which a request must not leave the stage."""


class WaitReason(Part):
    """A named reason to wait."""

    name: Name
    pauses: Flag
    """Whether the clock stands still meanwhile."""
    waiting_for: WaitingFor


class QueueShape(Part):
    """What a draft and a published definition have in common."""

    queue: Slug
    name: Name
    stages: Annotated[tuple[StageDefinition, ...], Field(min_length=3, max_length=50)]
    """In order: the first is new, the last is closed."""
    completion_minutes: Annotated[dict[Level, Minutes], Field(max_length=20)]
    """Allowed time of the resolution clock by priority; a priority that is missing has no clock."""
    matrix: Annotated[dict[Level, Annotated[dict[Level, Level], Field(max_length=20)]], Field(max_length=20)]
    """Priority by urgency, then impact."""
    default_priority: Level | None = None
    """Priority of a new request that names none; left out, the matrix decides."""
    reasons: Annotated[tuple[WaitReason, ...], Field(max_length=50)] = ()
    early_resolve: Flag = False
    """Whether a request may be resolved before its last open stage."""
    reopen_days: Days = 0
    """How long after closing a request may be reopened; 0 is never."""
    owner_id: UUID | None = None
    """Owner of requests that contacts create."""
    team_id: UUID | None = None


class QueueDefinition(Document, QueueShape):
    """A published version of a queue. Immutable: a request keeps the version it was opened under."""

    type: ClassVar[str] = "workflow.queue-definition"
    topic: ClassVar[str] = "workflow.catalogue"
    service: ClassVar[str] = "workflow"
    readers: ClassVar[tuple[str, ...]] = ("intake",)
    kind: ClassVar[str] = "queue"
    key_field: ClassVar[str] = "queue@version"

    version: Version
    published_at: Instant

    @property
    def key(self) -> str:
        return f"{self.queue}@{self.version}"


class CurrentQueue(Document):
    """Which version of a queue new requests take. Told with every publication."""

    type: ClassVar[str] = "workflow.current-queue"
    topic: ClassVar[str] = "workflow.catalogue"
    service: ClassVar[str] = "workflow"
    readers: ClassVar[tuple[str, ...]] = ("intake",)
    kind: ClassVar[str] = "current-queue"
    key_field: ClassVar[str] = "queue"

    queue: Slug
    version: Version


class Person(Document):
    """Somebody of the staff. Told whenever it changes; somebody switched off is inactive everywhere within 60 s."""

    type: ClassVar[str] = "workflow.person"
    topic: ClassVar[str] = "workflow.people"
    service: ClassVar[str] = "workflow"
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "billing", "notifications")
    kind: ClassVar[str] = "person"
    key_field: ClassVar[str] = "person_id"

    person_id: UUID
    name: Annotated[Name | None, Personal()] = None
    email: Annotated[Email | None, Personal()] = None
    login: Annotated[Login | None, Personal()] = None
    """The `sub` of the person's token."""
    active: Flag
    roles: tuple[Annotated[Slug, Known("admin", "owner", "agent", "approver", "billing")], ...] = ()
    teams: Ids = ()
    version: Version


class Team(Document):
    """A group of staff to which requests are assigned. Told whenever it changes."""

    type: ClassVar[str] = "workflow.team"
    topic: ClassVar[str] = "workflow.people"
    service: ClassVar[str] = "workflow"
    readers: ClassVar[tuple[str, ...]] = ("intake", "notifications")
    kind: ClassVar[str] = "team"
    key_field: ClassVar[str] = "team_id"

    team_id: UUID
    name: Name
    version: Version
