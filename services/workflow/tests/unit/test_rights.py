"""Who may do what: the owner, the Owner role, the team, the contact, everybody else."""

from typing import Any
from uuid import UUID

import pytest

from chassis.decision import Forbidden, Unknown
from testkit.deciding import NOON
from workflow.domain import facts, refusals
from workflow.domain.actions import available
from workflow.domain.lifecycle import decide
from workflow.domain.messages import (
    AddNote,
    Assign,
    ChangePriority,
    Close,
    Edit,
    GoLive,
    PostMessage,
    Progress,
    Regress,
    Reopen,
    Resume,
    TakeOver,
    Wait,
)
from workflow.domain.records import Contact, Organisation

WRITES = (
    lambda actor: Progress(None, actor),
    lambda actor: Regress("why", actor),
    lambda actor: Wait("vendor", actor),
    lambda actor: Resume(actor),
    lambda actor: Assign({"team_id": None}, actor),
    lambda actor: ChangePriority("high", None, None, actor),
    lambda actor: Edit({"summary": "?"}, actor),
    lambda actor: Close("unresolved", None, None, actor),
    lambda actor: Reopen("why", None, actor),
)


@pytest.fixture
def case(opened: Any) -> Any:
    """Owned by one agent, assigned to a team that another belongs to."""
    found = opened()
    return opened(owner_id=found.owner.id, team_id=found.team_id, stage="Triage")


def is_forbidden(case: Any, message: Any) -> bool:
    case.now = NOON
    before = case.request
    try:
        case.ask(message)
    except Forbidden:
        return True
    except (refusals.NotClosed, refusals.NotWaiting):
        return False
    case.request = before
    return False


@pytest.mark.parametrize("who", ["owner", "boss", "client", "system"])
@pytest.mark.parametrize("write", WRITES)
def test_S34_the_owner_and_the_owner_role_may_edit(case: Any, who: str, write: Any) -> None:
    assert not is_forbidden(case, write(getattr(case, who)))


@pytest.mark.parametrize("who", ["mate", "contact"])
@pytest.mark.parametrize("write", WRITES)
def test_S34_nobody_else_may(case: Any, who: str, write: Any) -> None:
    assert is_forbidden(case, write(getattr(case, who)))


@pytest.mark.parametrize("who", ["stranger", "gone", "other_contact"])
@pytest.mark.parametrize(
    "write", [*WRITES, lambda actor: AddNote("?", actor), lambda actor: TakeOver(actor), lambda actor: GoLive(actor)]
)
@pytest.mark.parametrize("closed", [False, True])
def test_S35_who_may_not_see_a_request_is_told_that_there_is_none(
    case: Any, who: str, write: Any, closed: bool
) -> None:
    if closed:
        case.ask(Close("unresolved", None, None, case.boss))
    with pytest.raises(refusals.NoSuchRequest) as hidden:
        case.ask(write(getattr(case, who)))
    with pytest.raises(refusals.NoSuchRequest) as absent:
        decide(None, write(getattr(case, who)), NOON, case.known)
    assert (hidden.value.slug, hidden.value.status) == (absent.value.slug, absent.value.status)
    assert (hidden.value.detail, hidden.value.facts) == (absent.value.detail, absent.value.facts)
    assert (hidden.value.may_come, absent.value.may_come) == (False, True)


@pytest.mark.parametrize("shares", [True, False])
def test_S101_a_colleague_who_sees_the_request_is_told_that_it_is_not_theirs(opened: Any, shares: bool) -> None:
    acme = UUID(int=7)
    case = opened(organisation_id=acme)
    case.learn("contact", Contact(case.other_contact.id, acme), case.other_contact.id)
    case.learn("organisation", Organisation(acme, share_requests=shares), acme)
    with pytest.raises(refusals.NotYours if shares else refusals.NoSuchRequest):
        case.ask(PostMessage("me too", case.other_contact))


@pytest.mark.parametrize(
    ("who", "may"),
    [("owner", True), ("mate", True), ("boss", True), ("contact", False)],
)
def test_S45_notes_are_written_by_owner_and_team(case: Any, who: str, may: bool) -> None:
    assert is_forbidden(case, AddNote("next step: call", getattr(case, who))) is not may


@pytest.mark.parametrize(
    ("who", "may"),
    [("owner", False), ("mate", True), ("boss", True), ("contact", False)],
)
def test_S35_team_members_take_over(case: Any, who: str, may: bool) -> None:
    assert is_forbidden(case, TakeOver(getattr(case, who))) is not may


@pytest.mark.parametrize(("who", "may"), [("owner", True), ("boss", True), ("contact", True), ("mate", False)])
def test_S9_messages_are_between_the_contact_and_who_works_on_it(case: Any, who: str, may: bool) -> None:
    assert is_forbidden(case, PostMessage("hello", getattr(case, who))) is not may


def test_S35_taking_over_makes_the_owner_and_leaves_the_team(case: Any) -> None:
    [told] = case.ask(TakeOver(case.mate))
    assert (told.owner_id, told.previous_owner_id) == (case.mate.id, case.owner.id)
    assert told.team_id == told.previous_team_id == case.team_id
    assert case.ask(TakeOver(case.mate)) == []


def test_S106_assigning_names_what_changes_and_keeps_the_rest(case: Any) -> None:
    [told] = case.ask(Assign({"owner_id": case.stranger.id}, case.owner))
    assert (told.owner_id, told.team_id) == (case.stranger.id, case.team_id)
    [cleared] = case.ask(Assign({"owner_id": None}, case.boss))
    assert (cleared.owner_id, cleared.team_id) == (None, case.team_id)
    assert case.ask(Assign({"owner_id": None}, case.boss)) == []


def test_owner_change_takes_effect_at_once(case: Any) -> None:
    case.ask(Assign({"owner_id": case.stranger.id}, case.owner))
    with pytest.raises(refusals.NoSuchRequest):
        case.ask(Progress(None, case.owner))
    assert case.ask(Progress(None, case.stranger))


def test_nobody_unknown_or_switched_off_becomes_owner(case: Any) -> None:
    with pytest.raises(Unknown):
        case.ask(Assign({"owner_id": case.contact.id}, case.owner))
    with pytest.raises(refusals.NobodyActive):
        case.ask(Assign({"owner_id": case.gone.id}, case.owner))
    with pytest.raises(Unknown):
        case.ask(Assign({"team_id": case.owner.id}, case.owner))
    with pytest.raises(refusals.NothingChanges):
        case.ask(Assign({}, case.owner))


def test_S54_an_edit_names_the_fields_that_changed(case: Any) -> None:
    [told] = case.ask(Edit({"summary": case.open.summary, "category": "Lines"}, case.owner))
    assert (told.fields, told.category, told.summary) == (("category",), "Lines", None)
    assert case.open.summary == "Line is dead"
    assert case.ask(Edit({"category": "Lines"}, case.owner)) == []
    case.ask(Edit({"category": None}, case.owner))
    assert case.open.category is None
    with pytest.raises(refusals.NothingChanges):
        case.ask(Edit({}, case.owner))


def test_S45_notes_are_numbered_and_never_blank(case: Any) -> None:
    assert [case.ask(AddNote(text, case.mate))[0].note_no for text in ("one", "two")] == [1, 2]
    with pytest.raises(refusals.TextMissing):
        case.ask(AddNote(" \n", case.mate))
    with pytest.raises(refusals.TextMissing):
        case.ask(PostMessage("\t", case.contact))


def test_S9_a_message_says_whether_staff_wrote_it(case: Any) -> None:
    assert case.ask(PostMessage("?", case.owner))[0].from_staff
    assert not case.ask(PostMessage("!", case.contact))[0].from_staff


def test_S10_the_actions_say_which_of_them_are_allowed_and_why_not(case: Any) -> None:
    offered = available(case.open, case.definition, case.owner, case.now, case.known)
    allowed = {name for name, why in offered.items() if why is None}
    assert allowed == {
        "progress", "regress", "wait", "assign", "change-priority", "edit", "note", "message", "leave-unresolved",
        "cancel",
    }  # fmt: skip
    assert offered["resolve"] == "too-early-to-resolve"
    assert offered["resume"] == "not-waiting"
    assert offered["take-over"] == "not-in-the-team"


def test_S10_a_contact_is_offered_to_write_and_to_cancel(case: Any) -> None:
    offered = available(case.open, case.definition, case.contact, case.now, case.known)
    assert {name for name, why in offered.items() if why is None} == {"message", "cancel"}


def test_asking_what_is_allowed_changes_nothing(case: Any) -> None:
    before = list(case.facts)
    available(case.open, case.definition, case.owner, case.now, case.known)
    assert case.facts == before
    assert not case.told(facts.RequestClosed)
