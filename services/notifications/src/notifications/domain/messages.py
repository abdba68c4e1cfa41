"""What a thread is told and asked."""

from datetime import datetime
from uuid import UUID

from chassis.decision import Actor, record


@record
class Cause:
    """The event of another service that gives reason to tell somebody."""

    event_id: UUID
    stream: str
    sequence: int
    redelivered: bool = False
    """Whether it was never decided before, though later ones of its stream were."""


@record
class Open:
    """A request was opened."""

    cause: Cause
    number: str
    contact_id: UUID
    summary: str | None
    owner_id: UUID | None
    team_id: UUID | None
    live: bool


@record
class GoLive:
    """A request of history is worked on from now on: its people are told what happens."""


@record
class Assign:
    """Somebody else is responsible now."""

    owner_id: UUID | None
    team_id: UUID | None


@record
class Rename:
    """The summary was edited."""

    summary: str | None


@record
class TellWaiting:
    """The request stands still until its contact answers."""

    cause: Cause
    reason: str


@record
class TellBreached:
    """The request ran over its time."""

    cause: Cause
    due_at: datetime
    overdue_seconds: int


@record
class TellPosted:
    """The staff wrote to the contact."""

    cause: Cause
    text: str | None


@record
class TellClosed:
    """The request was closed."""

    cause: Cause
    outcome: str


@record
class TellApprovers:
    """These people are asked to approve."""

    cause: Cause
    approvers: tuple[UUID, ...]
    due_at: datetime | None


@record
class Start:
    """The sender is about to try a mail; it may only when an AttemptStarted comes back."""

    message_id: UUID


@record
class Accepted:
    """The mail server took responsibility for the mail."""

    message_id: UUID
    attempt: int


@record
class Failed:
    """The mail was surely not taken this time; another attempt may succeed."""

    message_id: UUID
    attempt: int
    detail: str


@record
class Rejected:
    """The mail server refused the mail for good, or it cannot be made at all; `reason` is a slug."""

    message_id: UUID
    attempt: int
    reason: str
    detail: str


@record
class Lost:
    """The connection went away after the mail was handed over and before the answer."""

    message_id: UUID
    attempt: int


@record
class Unaddressed:
    """Nobody behind the recipient has an address."""

    message_id: UUID
    attempt: int


@record
class Doubt:
    """The schema was restored to an earlier moment: whether this mail went out before that is not known."""

    message_id: UUID


@record
class Bounce:
    """An accepted mail came back; `reason` is a slug."""

    message_id: UUID
    reason: str
    detail: str


@record
class Retry:
    """An operator wants a stopped mail sent again."""

    message_id: UUID
    reason: str
    actor: Actor
