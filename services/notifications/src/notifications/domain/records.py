"""What this service knows of people: its copies of other services' documents."""

from uuid import UUID

from chassis.decision import record


@record
class Contact:
    """Somebody who raises requests. Personal fields are None once erased."""

    contact_id: UUID
    name: str | None = None
    email: str | None = None
    organisation_id: UUID | None = None
    login: str | None = None
    locale: str = "en"
    mail_opt_out: tuple[str, ...] = ()


@record
class Person:
    """Somebody of the staff."""

    person_id: UUID
    name: str | None = None
    email: str | None = None
    login: str | None = None
    active: bool = True
    teams: tuple[UUID, ...] = ()


@record
class Team:
    """A group of staff; who is in it stands with the persons."""

    team_id: UUID
    name: str
