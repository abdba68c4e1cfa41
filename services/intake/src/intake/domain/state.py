"""What the front door remembers of each thing: the fold of its facts."""

from datetime import datetime
from uuid import UUID

from chassis.decision import record
from intake.domain.facts import By


@record
class Submission:
    """A request as it came in, and where workflow says it stands.

    Description and custom data are kept beside it (`submission_contents`), because no decision reads them.
    """

    number: str
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    queue_version: int
    summary: str | None
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
    external_reference: str | None
    mode: str
    client: str | None
    status: str
    stage: str | None
    outcome: str | None = None
    detail: str | None = None


@record
class Contact:
    """Somebody for whom requests are made; an erased one keeps nothing but its id and that it was."""

    contact_id: UUID
    version: int
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    organisation_id: UUID | None = None
    login: str | None = None
    locale: str = "en"
    mail_opt_out: tuple[str, ...] = ()
    erased: bool = False


@record
class Organisation:
    """Whom contacts belong to; with `share_requests` they see each other's requests."""

    organisation_id: UUID
    name: str
    share_requests: bool
    version: int
