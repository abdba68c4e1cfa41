"""Documents of workflow that decisions read."""

from uuid import UUID

from chassis.decision import record

LEVELS = frozenset({"low", "medium", "high", "critical"})
"""Priorities that every queue has."""


@record
class CurrentQueue:
    """The version of a queue's definition that new requests take."""

    queue: str
    version: int


@record
class Definition:
    """A published version of a queue, as far as a submission must fit it."""

    queue: str
    version: int
    completion_minutes: dict[str, int]
    matrix: dict[str, dict[str, str]]
    default_priority: str | None = None

    def names_priority(self, priority: str) -> bool:
        """Whether the queue itself uses this priority."""
        named = {*self.completion_minutes, self.default_priority}
        return priority in named or any(priority in row.values() for row in self.matrix.values())


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
