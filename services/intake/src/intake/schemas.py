"""Bodies of answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from asyncpg import Record
from pydantic import BaseModel

from chassis.projection import Projection, Shown
from intake.domain.state import Contact, Organisation, Submission


class ByView(BaseModel):
    """Who submitted it: a person of the staff, a contact or another system."""

    kind: str
    id: UUID | None


class RequestSummary(BaseModel):
    """A request in a list. `status` follows workflow: submitted, new, in-progress, closed, rejected."""

    request_id: UUID
    number: str
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    summary: str | None
    category: str | None
    status: str
    stage: str | None
    outcome: str | None
    received_at: datetime
    submitted_by: ByView


class RequestView(RequestSummary):
    """A request as it came in, and where it stands. What became of its fields since is workflow's to say."""

    queue_version: int
    description: str | None = None
    impact: str
    urgency: str
    priority: str | None
    occurred_at: datetime
    channel: str
    owner_id: UUID | None
    team_id: UUID | None
    external_reference: str | None
    mode: str
    detail: str | None
    custom: dict[str, Any] | None = None
    submitted_at: datetime | None = None
    edit_version: int = 0


class ContactView(BaseModel):
    """Somebody for whom requests are made."""

    contact_id: UUID
    name: str | None
    email: str | None
    phone: str | None
    organisation_id: UUID | None
    login: str | None
    locale: str
    mail_opt_out: Sequence[str]
    version: int
    erased: bool
    edit_version: int


class OrganisationView(BaseModel):
    """Whom contacts belong to; with `share_requests` they see each other's requests."""

    organisation_id: UUID
    name: str
    share_requests: bool
    version: int
    edit_version: int


_SUMMARY = Projection(RequestSummary, Submission)
_REQUEST = Projection(RequestView, Submission)
_CONTACT = Projection(ContactView, Contact)
_ORGANISATION = Projection(OrganisationView, Organisation)


def summary(row: Record) -> Shown[RequestSummary]:
    """A row as one of a list."""
    return _SUMMARY.of(row["state"], request_id=row["id"])


def request(row: Record) -> Shown[RequestView]:
    """A row with its texts."""
    return _REQUEST.of(
        row["state"],
        request_id=row["id"],
        description=row["description"],
        custom=orjson.Fragment(row["custom"]) if row["custom"] else None,
        submitted_at=row["created_at"],
        edit_version=row["edit_version"],
    )


def contact(row: Record) -> Shown[ContactView]:
    """A contact's row."""
    return _CONTACT.of(row["state"], edit_version=row["edit_version"])


def organisation(row: Record) -> Shown[OrganisationView]:
    """An organisation's row."""
    return _ORGANISATION.of(row["state"], edit_version=row["edit_version"])


def submitted(request_id: UUID, state: Submission, facts: Sequence[Any]) -> dict[str, Any]:
    """What somebody who submitted is told."""
    return {
        "request_id": request_id,
        "number": state.number,
        "contact_id": state.contact_id,
        "queue": state.queue,
        "queue_version": state.queue_version,
        "status": state.status,
        "received_at": state.received_at,
    }


def contact_answer(contact_id: UUID, state: Contact, facts: Sequence[Any]) -> dict[str, Any]:
    """What somebody who registered, changed or erased a contact is told. Kept for replays: so nothing personal."""
    return {"contact_id": contact_id, "version": state.version, "erased": state.erased}


def organisation_answer(organisation_id: UUID, state: Organisation, facts: Sequence[Any]) -> dict[str, Any]:
    """What somebody who registered an organisation is told: all of it."""
    return {name: getattr(state, name) for name in state.__dataclass_fields__}
