"""What can be asked of a request, a person, a team or a queue, and what a request hears from other services.

`at` is the effective time of a backdated command (history mode); None means now.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Actor, record
from workflow.domain.records import Definition


@record
class Open:
    """A submission was accepted by the front door."""

    number: str
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    queue_version: int
    summary: str | None
    description: str | None
    impact: str
    urgency: str
    priority: str | None
    category: str | None
    occurred_at: datetime
    received_at: datetime
    channel: str
    submitted_by: Actor
    owner_id: UUID | None
    team_id: UUID | None
    custom: dict[str, Any] | None
    external_reference: str | None
    stage: str | None
    mode: str


@record
class Progress:
    """Move to the next stage; `to_stage` may name it."""

    to_stage: str | None
    actor: Actor
    at: datetime | None = None


@record
class Regress:
    """Move back to the previous stage."""

    reason: str
    actor: Actor
    at: datetime | None = None


@record
class Jump:
    """Move to any stage but Closed; for requests that are being moved in."""

    to_stage: str
    actor: Actor
    at: datetime | None = None


@record
class Wait:
    """Begin a hold for a reason that the queue names."""

    reason: str
    actor: Actor
    at: datetime | None = None


@record
class Resume:
    """End every hold."""

    actor: Actor
    at: datetime | None = None


@record
class Assign:
    """Give the request a new owner, a new team or both; only what is named changes, None takes it away."""

    given: dict[str, UUID | None]
    actor: Actor
    at: datetime | None = None


@record
class TakeOver:
    """Make the asking member of staff the owner."""

    actor: Actor
    at: datetime | None = None


@record
class ChangePriority:
    """Set the priority, or urgency and impact and with them the priority."""

    priority: str | None
    urgency: str | None
    impact: str | None
    actor: Actor
    at: datetime | None = None


@record
class Edit:
    """New values of the fields that are named."""

    given: dict[str, Any]
    actor: Actor
    at: datetime | None = None


@record
class AddNote:
    """An internal note."""

    text: str
    actor: Actor
    at: datetime | None = None


@record
class PostMessage:
    """A message between customer and staff."""

    text: str
    actor: Actor
    at: datetime | None = None


@record
class Close:
    """End the request; `charge_revision` is what the closer saw of its charges."""

    outcome: str
    charge_revision: int | None
    reason: str | None
    actor: Actor
    at: datetime | None = None


@record
class Reopen:
    """Take a closed request up again."""

    reason: str
    to_stage: str | None
    actor: Actor
    at: datetime | None = None


@record
class GoLive:
    """End history mode: from now on clocks ring and people are told."""

    actor: Actor
    at: datetime | None = None


@record
class ApprovalAsked:
    """Approvals took up a transition."""

    approval_id: UUID
    transition_id: UUID


@record
class ApprovalSettled:
    """Approvals decided about a transition."""

    approval_id: UUID
    transition_id: UUID
    outcome: str
    content_hash: str
    visit_no: int


@record
class ChargesChanged:
    """Billing holds another revision of the charges."""

    revision: int


@record
class InvoiceIssued:
    """Billing invoiced a close."""

    number: str
    close_no: int


@record
class RegisterPerson:
    """Add somebody to the staff; `named` says that the id was given and not made from the rest."""

    person_id: UUID
    named: bool
    name: str
    email: str | None
    login: str | None
    roles: tuple[str, ...]
    teams: tuple[UUID, ...]
    active: bool


@record
class UpdatePerson:
    """New values of the fields that are named."""

    given: dict[str, Any]


@record
class RegisterTeam:
    """Add a team; `named` says that the id was given and not made from the name."""

    team_id: UUID
    named: bool
    name: str


@record
class DraftQueue:
    """Write the draft of a queue's next version; it replaces an earlier draft."""

    definition: Definition


@record
class PublishQueue:
    """Let new requests take the draft."""
