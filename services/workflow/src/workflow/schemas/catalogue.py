"""Staff, teams and queues, as they are shown and in the answer to a command."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from chassis.projection import Projection
from workflow.domain.queues import Queue
from workflow.domain.records import Person, Team


class PersonView(BaseModel):
    """A member of staff."""

    edit_version: int
    person_id: UUID
    name: str | None
    email: str | None
    login: str | None
    active: bool
    roles: tuple[str, ...]
    teams: tuple[UUID, ...]


class TeamView(BaseModel):
    """A team."""

    edit_version: int
    team_id: UUID
    name: str


class QueueView(BaseModel):
    """A queue: the version that new requests take, and the draft of the next."""

    edit_version: int
    queue: str
    version: int
    published: dict[str, Any] | None
    draft: dict[str, Any] | None


PERSON = Projection(PersonView, Person)
TEAM = Projection(TeamView, Team)
QUEUE = Projection(QueueView, Queue)


def person_answer(_: UUID, person: Person, told: Sequence[Any]) -> dict[str, Any]:
    """The person."""
    return {
        "person_id": person.person_id,
        "name": person.name,
        "email": person.email,
        "login": person.login,
        "active": person.active,
        "roles": person.roles,
        "teams": person.teams,
        "version": person.version,
    }


def team_answer(_: UUID, team: Team, told: Sequence[Any]) -> dict[str, Any]:
    """The team."""
    return {"team_id": team.team_id, "name": team.name, "version": team.version}


def queue_answer(queue_id: UUID, queue: Queue, told: Sequence[Any]) -> dict[str, Any]:
    """Which version is published, and whether there is a draft."""
    return {"queue_id": queue_id, "queue": queue.queue, "version": queue.version, "draft": queue.draft is not None}
