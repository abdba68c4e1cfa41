"""Documents of workflow that decisions read."""

from uuid import UUID

from chassis.decision import record


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
