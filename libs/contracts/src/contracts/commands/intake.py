"""Commands that intake takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import Command, Personal
from contracts.fields import (
    Custom,
    Email,
    Flag,
    Instant,
    Level,
    Line,
    Locale,
    Login,
    LongText,
    Mode,
    Name,
    Phone,
    Reason,
    Slug,
    Summary,
)

OptOut = Annotated[tuple[Slug, ...], Field(max_length=50)]


class RegisterContact(Command):
    """Make a contact known. Answer: the contact."""

    type: ClassVar[str] = "intake.register-contact"
    service: ClassVar[str] = "intake"
    scope: ClassVar[str] = "contacts:write"

    contact_id: UUID | None = None
    """Chosen by the caller, or made here."""
    name: Annotated[Name, Personal()]
    email: Annotated[Email | None, Personal()] = None
    phone: Annotated[Phone | None, Personal()] = None
    organisation_id: UUID | None = None
    login: Annotated[Login | None, Personal()] = None
    locale: Locale = "en"
    mail_opt_out: OptOut = ()


class UpdateContact(Command):
    """Change a contact (the subject). A field that is left out stays; null empties it."""

    type: ClassVar[str] = "intake.update-contact"
    service: ClassVar[str] = "intake"
    scope: ClassVar[str] = "contacts:write"

    name: Annotated[Name | None, Personal()] = None
    email: Annotated[Email | None, Personal()] = None
    phone: Annotated[Phone | None, Personal()] = None
    organisation_id: UUID | None = None
    login: Annotated[Login | None, Personal()] = None
    locale: Locale | None = None
    mail_opt_out: OptOut | None = None


class EraseContact(Command):
    """Erase a person (the subject): personal fields vanish from every service and topic; the books stay."""

    type: ClassVar[str] = "intake.erase-contact"
    service: ClassVar[str] = "intake"
    scope: ClassVar[str] = "contacts:erase"

    reason: Reason


class RegisterOrganisation(Command):
    """Make an organisation known, or change it when its id is known already."""

    type: ClassVar[str] = "intake.register-organisation"
    service: ClassVar[str] = "intake"
    scope: ClassVar[str] = "contacts:write"

    organisation_id: UUID | None = None
    name: Name
    share_requests: Flag = False


class Submit(Command):
    """Submit a request for a contact. Answer: its id and number; `RequestSubmitted` follows."""

    type: ClassVar[str] = "intake.submit"
    service: ClassVar[str] = "intake"
    scope: ClassVar[str] = "requests:write"

    contact_id: UUID
    queue: Slug
    summary: Annotated[Summary, Personal()]
    description: Annotated[LongText, Personal()] = ""
    impact: Level | None = None
    urgency: Level | None = None
    priority: Level | None = None
    category: Name | None = None
    occurred_at: Instant | None = None
    received_at: Instant | None = None
    custom: Annotated[Custom, Personal()] = Field(default_factory=dict)
    external_reference: Line | None = None
    """Also makes the submission unique per client."""
    owner_id: UUID | None = None
    team_id: UUID | None = None
    stage: Name | None = None
    mode: Mode = "live"
