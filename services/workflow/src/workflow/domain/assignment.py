"""Owner and team (S32, S35, S106)."""

from uuid import UUID

from workflow.domain import facts, messages, rights
from workflow.domain.records import Person
from workflow.domain.refusals import NobodyActive, NothingChanges, NotInTheTeam
from workflow.domain.turn import Turn


def assign(turn: Turn, message: messages.Assign) -> None:
    """Change what is named; a person or team that is there already changes nothing."""
    request = turn.request
    rights.need_open(request)
    rights.need_edit(message.actor, turn.known, request)
    if not message.given:
        raise NothingChanges("name an owner, a team or both")
    owner_id = message.given.get("owner_id", request.owner_id)
    team_id = message.given.get("team_id", request.team_id)
    if owner_id is not None and owner_id != request.owner_id:
        _need_active(turn, owner_id)
    if team_id is not None and team_id != request.team_id:
        turn.known.require("team", team_id)
    _set(turn, owner_id, team_id)


def take_over(turn: Turn, message: messages.TakeOver) -> None:
    """Make the asking member of staff the owner; the team stays."""
    rights.need_open(turn.request)
    person = rights.person_of(message.actor, turn.known)
    if person is None or not rights.may_take_over(person, turn.request):
        raise NotInTheTeam("only members of its team or holders of the Owner role may take it over")
    _set(turn, person.person_id, turn.request.team_id)


def _need_active(turn: Turn, owner_id: UUID) -> None:
    person: Person = turn.known.require("person", owner_id)
    if not person.active and not turn.in_history:
        raise NobodyActive("the person was switched off", person_id=str(owner_id))


def _set(turn: Turn, owner_id: UUID | None, team_id: UUID | None) -> None:
    request = turn.request
    if (owner_id, team_id) != (request.owner_id, request.team_id):
        turn.state(facts.OwnerAssigned(owner_id, team_id, request.owner_id, request.team_id, turn.at))
