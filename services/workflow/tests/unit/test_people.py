"""Staff and teams: documents with a version, logins and names taken once."""

from uuid import UUID

import pytest

from chassis.decision import Unknown, changed
from testkit.deciding import NOON, Facts
from workflow.domain import people, refusals, teams
from workflow.domain.messages import RegisterPerson, RegisterTeam, UpdatePerson
from workflow.domain.records import Person, Team

ANN, BOB, LINES = UUID(int=1), UUID(int=2), UUID(int=3)
KNOWN = Facts({("team", str(LINES)): Team(LINES, "Lines", 1)})
REGISTER = RegisterPerson(ANN, True, "Ann", "ann@example.com", "ann", ("agent",), (LINES,), True)


def test_registering_tells_the_whole_person() -> None:
    assert people.decide(None, REGISTER, NOON, KNOWN) == [
        Person(ANN, "Ann", "ann@example.com", "ann", True, ("agent",), (LINES,), 1)
    ]


def test_a_change_is_a_new_version_and_no_change_is_none() -> None:
    [ann] = people.decide(None, REGISTER, NOON, KNOWN)
    [off] = people.decide(ann, UpdatePerson({"active": False}), NOON, KNOWN)
    assert (off.active, off.name, off.version) == (False, "Ann", 2)
    assert people.decide(off, UpdatePerson({"active": False}), NOON, KNOWN) == []
    assert people.decide(ann, REGISTER, NOON, KNOWN) == []


def test_a_login_belongs_to_one_person() -> None:
    known = Facts({("team", str(LINES)): Team(LINES, "Lines", 1)}, holders={"login:ann": BOB})
    with pytest.raises(refusals.LoginTaken):
        people.decide(None, REGISTER, NOON, known)
    own = Facts({("team", str(LINES)): Team(LINES, "Lines", 1)}, holders={"login:ann": ANN})
    assert people.decide(None, REGISTER, NOON, own)


def test_a_login_is_claimed_and_nobody_claims_none() -> None:
    assert people.claims(Person(ANN, login="ann")) == {"login:ann"}
    assert people.claims(Person(ANN)) == set()


def test_a_team_must_be_known() -> None:
    with pytest.raises(Unknown):
        people.decide(None, REGISTER, NOON, Facts())


def test_nobody_unknown_is_changed() -> None:
    with pytest.raises(refusals.NoSuchPerson):
        people.decide(None, UpdatePerson({"active": False}), NOON, KNOWN)


def test_an_update_of_nothing_is_refused() -> None:
    [ann] = people.decide(None, REGISTER, NOON, KNOWN)
    with pytest.raises(refusals.NothingChanges):
        people.decide(ann, UpdatePerson({}), NOON, KNOWN)


def test_registering_a_team_again_renames_it() -> None:
    [first] = teams.decide(None, RegisterTeam(LINES, True, "Lines"), NOON, Facts())
    [second] = teams.decide(first, RegisterTeam(LINES, True, "Networks"), NOON, Facts())
    assert (first.version, second.version, second.name) == (1, 2, "Networks")
    assert teams.decide(second, RegisterTeam(LINES, True, "Networks"), NOON, Facts()) == []


def test_a_teams_name_is_taken_once_however_it_is_written() -> None:
    with pytest.raises(refusals.TeamNameTaken):
        teams.decide(None, RegisterTeam(ANN, True, "LINES"), NOON, Facts(holders={"team:lines": LINES}))


def test_a_registration_without_an_id_never_overwrites_what_changed_since() -> None:
    register = changed(REGISTER, named=False)
    [ann] = people.decide(None, register, NOON, KNOWN)
    assert people.decide(ann, register, NOON, KNOWN) == []
    with pytest.raises(refusals.PersonExists):
        people.decide(changed(ann, name="Anna"), register, NOON, KNOWN)
    with pytest.raises(refusals.TeamExists):
        teams.decide(Team(LINES, "Networks", 2), RegisterTeam(LINES, False, "Lines"), NOON, Facts())
