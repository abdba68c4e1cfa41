"""Bodies of answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

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

    @classmethod
    def of(cls, request_id: UUID, state: Submission) -> Self:
        """The view of a submission."""
        by = {"kind": state.submitted_by.kind, "id": state.submitted_by.id}
        fields = {name: getattr(state, name) for name in cls.model_fields if hasattr(state, name)}
        return cls.model_validate({**fields, "request_id": request_id, "submitted_by": by})


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

    @classmethod
    def of(cls, state: Contact, edit_version: int) -> Self:
        """The view of a contact."""
        return cls(**_fields(state), edit_version=edit_version)


class OrganisationView(BaseModel):
    """Whom contacts belong to; with `share_requests` they see each other's requests."""

    organisation_id: UUID
    name: str
    share_requests: bool
    version: int
    edit_version: int

    @classmethod
    def of(cls, state: Organisation, edit_version: int) -> Self:
        """The view of an organisation."""
        return cls(**_fields(state), edit_version=edit_version)


def _fields(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


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
    return _fields(state)
