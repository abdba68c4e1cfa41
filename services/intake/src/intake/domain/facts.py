"""What the front door states."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import record


@record
class By:
    """Who did it, as others may know it."""

    kind: str
    id: UUID | None = None


@record
class RequestSubmitted:
    """A request came in and has its number. `client` stays here: it makes the external reference unique."""

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
    submitted_by: By
    owner_id: UUID | None
    team_id: UUID | None
    custom: Mapping[str, Any] | None
    external_reference: str | None
    stage: str | None
    mode: str
    client: str | None = None


@record
class StatusNoted:
    """Where the request stands now, as workflow said."""

    status: str
    stage: str | None
    outcome: str | None
    detail: str | None = None


@record
class ContactRecorded:
    """The whole contact, as it is from now on."""

    contact_id: UUID
    name: str | None
    email: str | None
    phone: str | None
    organisation_id: UUID | None
    login: str | None
    locale: str
    mail_opt_out: tuple[str, ...]
    version: int


@record
class ContactErased:
    """The contact's document ended."""

    reason: str | None = None


@record
class OrganisationRecorded:
    """The whole organisation, as it is from now on."""

    organisation_id: UUID
    name: str
    share_requests: bool
    version: int
