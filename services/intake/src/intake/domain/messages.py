"""What the front door is asked, and what it hears."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Actor, record


@record
class Submit:
    """A request for a contact, by the contact, by staff or by another system.

    `client` is the registered system that brought it; `effective_at` the time for which history mode asks.
    """

    actor: Actor
    contact_id: UUID
    queue: str
    summary: str
    description: str
    impact: str | None = None
    urgency: str | None = None
    priority: str | None = None
    category: str | None = None
    occurred_at: datetime | None = None
    received_at: datetime | None = None
    custom: Mapping[str, Any] | None = None
    external_reference: str | None = None
    owner_id: UUID | None = None
    team_id: UUID | None = None
    stage: str | None = None
    mode: str = "live"
    client: str | None = None
    effective_at: datetime | None = None


@record
class NoteStatus:
    """What workflow says of a request: where it stands."""

    status: str
    stage: str | None = None
    outcome: str | None = None
    detail: str | None = None


@record
class RegisterContact:
    """Somebody for whom requests may be made."""

    actor: Actor
    contact_id: UUID
    name: str
    email: str | None = None
    phone: str | None = None
    organisation_id: UUID | None = None
    login: str | None = None
    locale: str = "en"
    mail_opt_out: tuple[str, ...] = ()


@record
class UpdateContact:
    """New values for the fields that `changes` names; None clears an optional one."""

    actor: Actor
    changes: Mapping[str, Any]


@record
class EraseContact:
    """Forget the person: the document ends and personal fields go, everywhere."""

    actor: Actor
    reason: str


@record
class RegisterOrganisation:
    """An organisation, or what is to be known of it from now on."""

    actor: Actor
    organisation_id: UUID
    name: str
    share_requests: bool
