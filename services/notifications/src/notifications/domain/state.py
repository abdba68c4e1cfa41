"""What a request's thread remembers: the request as far as mails show it, and the mails that are not done with."""

from datetime import datetime
from uuid import UUID

from chassis.decision import record

PLANNED, STARTED, UNKNOWN, REFUSED = "planned", "started", "unknown", "refused"
CONTACT, PERSON, TEAM = "contact", "person", "team"


@record
class Mail:
    """One mail to one recipient about one event, until its fate is settled.

    `at` is when it may be tried (planned), when its outcome must be known (started), or when it stopped.
    `attempts` counts all of them, `tries` those since it was planned or an operator asked again.
    `content` is what its template shows of the event, as it was when the event happened.
    """

    message_id: UUID
    cause_event_id: UUID
    recipient_id: UUID
    recipient_kind: str
    template: str
    content: dict[str, str]
    status: str
    attempts: int
    tries: int
    planned_at: datetime
    at: datetime


@record
class Thread:
    """Everything said about one request. A thread that is not live belongs to history: it tells nobody.

    `told` is, per stream, the highest sequence of an event that mails were planned for.
    """

    number: str
    contact_id: UUID
    summary: str | None
    live: bool
    owner_id: UUID | None = None
    team_id: UUID | None = None
    mails: tuple[Mail, ...] = ()
    told: dict[str, int] | None = None

    def mail(self, message_id: UUID) -> Mail | None:
        """The mail of this id, while it is not done with."""
        return next((mail for mail in self.mails if mail.message_id == message_id), None)
