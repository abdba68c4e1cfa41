"""Documents that decisions read: what this service keeps of its own and hears from workflow."""

from uuid import UUID

from chassis.decision import record


@record
class Contact:
    """Somebody for whom requests are made."""

    contact_id: UUID
    organisation_id: UUID | None = None


@record
class Organisation:
    """Whom contacts belong to."""

    organisation_id: UUID
    name: str
    share_requests: bool


@record
class CurrentQueue:
    """The version of a queue's definition that new requests take."""

    queue: str
    version: int


@record
class Person:
    """Somebody of the staff."""

    person_id: UUID
    active: bool


@record
class Team:
    """A group of the staff."""

    team_id: UUID
    name: str
