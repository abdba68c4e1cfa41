"""Teams of staff."""

from collections.abc import Sequence
from datetime import datetime

from chassis.decision import Known
from workflow.domain import messages
from workflow.domain.records import Team
from workflow.domain.refusals import TeamExists, TeamNameTaken


def decide(team: Team | None, message: messages.RegisterTeam, now: datetime, known: Known) -> Sequence[Team]:
    """A new document of the team; registering it again renames it."""
    after = Team(message.team_id, message.name, (team.version if team else 0) + 1)
    if team is not None and team.name == after.name:
        return []
    if team is not None and not message.named:
        raise TeamExists(f"it is called {team.name} now; give the new team an id", team_id=str(team.team_id))
    for claim in claims(after):
        holder = known.holder(claim)
        if holder is not None and holder != after.team_id:
            raise TeamNameTaken(f"another team is called {after.name}")
    return [after]


def evolve(team: Team | None, fact: Team) -> Team:
    """The document itself."""
    return fact


def claims(team: Team) -> frozenset[str]:
    """A name belongs to one team, however it is written."""
    return frozenset({f"team:{team.name.casefold()}"})
