"""What intake tells: requests as they were submitted; contacts and organisations as documents. And what it takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from contracts.base import ActorRef, Document, Event, Personal
from contracts.commands.intake import EraseContact, RegisterContact, RegisterOrganisation, Submit, UpdateContact
from contracts.fields import (
    Channel,
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
    Number,
    Phone,
    Slug,
    Summary,
    Version,
)

__all__ = [
    "Contact",
    "EraseContact",
    "Organisation",
    "RegisterContact",
    "RegisterOrganisation",
    "RequestSubmitted",
    "Submit",
    "UpdateContact",
]


class RequestSubmitted(Event):
    """A request came in and has its number. Sent once per request, as its first fact; workflow opens it."""

    type: ClassVar[str] = "intake.request-submitted"
    topic: ClassVar[str] = "intake.requests"
    service: ClassVar[str] = "intake"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "notifications")

    number: Number
    contact_id: UUID
    """Who needs it done."""
    organisation_id: UUID | None = None
    queue: Slug
    queue_version: Version
    """The definition that rules this request: document `queue@queue_version` on `workflow.catalogue`."""
    summary: Annotated[Summary | None, Personal()] = None
    description: Annotated[LongText | None, Personal()] = None
    impact: Level
    urgency: Level
    priority: Level | None = None
    """Set only when it overrides the queue's matrix."""
    category: Name | None = None
    occurred_at: Instant
    """When the trouble began, as the submitter says."""
    received_at: Instant
    """When the organisation learned of it; clocks run from here."""
    channel: Channel
    submitted_by: ActorRef
    owner_id: UUID | None = None
    team_id: UUID | None = None
    custom: Annotated[Custom | None, Personal()] = None
    external_reference: Line | None = None
    """The number of the same matter in the submitting system."""
    stage: Name | None = None
    """Set when the request is created directly in a stage."""
    mode: Mode = "live"
    """`history`: moved in from elsewhere; nobody is told, no timer runs, nothing is billed."""


class Contact(Document):
    """Somebody for whom requests are made. Told whenever it changes; a tombstone when the person is erased."""

    type: ClassVar[str] = "intake.contact"
    topic: ClassVar[str] = "intake.contacts"
    service: ClassVar[str] = "intake"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "approvals", "billing", "notifications")
    kind: ClassVar[str] = "contact"
    key_field: ClassVar[str] = "contact_id"

    contact_id: UUID
    name: Annotated[Name | None, Personal()] = None
    email: Annotated[Email | None, Personal()] = None
    phone: Annotated[Phone | None, Personal()] = None
    organisation_id: UUID | None = None
    login: Annotated[Login | None, Personal()] = None
    """The `sub` of the contact's token, when the contact may sign in."""
    locale: Locale = "en"
    mail_opt_out: tuple[Slug, ...] = ()
    """Groups of templates that this contact does not want by mail."""
    version: Version


class Organisation(Document):
    """A customer organisation to which contacts belong. Told whenever it changes."""

    type: ClassVar[str] = "intake.organisation"
    topic: ClassVar[str] = "intake.contacts"
    service: ClassVar[str] = "intake"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "billing")
    kind: ClassVar[str] = "organisation"
    key_field: ClassVar[str] = "organisation_id"

    organisation_id: UUID
    name: Name
    share_requests: Flag
    """Whether its contacts see each other's requests."""
    version: Version
