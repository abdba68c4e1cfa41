"""Reference data that a decision reads: queue definitions, staff and teams."""

from datetime import datetime
from uuid import UUID

from chassis.decision import record


@record
class Policy:
    """How many of the named people must agree: `any` one, `all`, or `k` of them."""

    kind: str
    k: int | None = None


@record
class Gate:
    """The approval that leaving a stage needs."""

    policy: Policy
    approvers: tuple[UUID, ...]
    due_minutes: int | None = None


@record
class Stage:
    """One step of a queue; `assignee` says who completes it, `mandatory` which fields it must not be left without."""

    name: str
    state: str
    assignee: str = "staff"
    approval: Gate | None = None
    mandatory: tuple[str, ...] = ()


@record
class WaitReason:
    """A named reason to wait, and whether the clock stands still meanwhile."""

    name: str
    pauses: bool
    waiting_for: str


@record
class Definition:
    """A queue as drafted or published: what its requests go through."""

    queue: str
    version: int
    name: str
    stages: tuple[Stage, ...]
    completion_minutes: dict[str, int]
    matrix: dict[str, dict[str, str]]
    default_priority: str | None = None
    reasons: tuple[WaitReason, ...] = ()
    early_resolve: bool = False
    reopen_days: int = 0
    owner_id: UUID | None = None
    team_id: UUID | None = None
    published_at: datetime | None = None


@record
class Person:
    """Somebody of the staff; `login` is the subject of their tokens."""

    person_id: UUID
    name: str | None = None
    email: str | None = None
    login: str | None = None
    active: bool = True
    roles: tuple[str, ...] = ()
    teams: tuple[UUID, ...] = ()
    version: int = 0


@record
class Team:
    """A group of staff that requests are assigned to."""

    team_id: UUID
    name: str = ""
    version: int = 0


@record
class Contact:
    """Somebody that requests are for, as far as workflow needs to know."""

    contact_id: UUID
    organisation_id: UUID | None = None


@record
class Organisation:
    """A customer organisation, and whether its contacts see each other's requests."""

    organisation_id: UUID
    share_requests: bool = False
