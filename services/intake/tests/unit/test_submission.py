"""A request comes in: complete, allowed, numbered, owned."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Actor, Invalid, Unknown, changed
from intake.domain import access, limits, refusals, times
from intake.domain.facts import By, RequestSubmitted, StatusNoted
from intake.domain.messages import NoteStatus, Submit
from intake.domain.numbering import Scheme
from intake.domain.records import CurrentQueue, Definition, Person, Team
from intake.domain.state import Contact, Submission
from intake.domain.submission import claims, decide, evolve, numbers, persons, refs
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
CARL, DORA, ERASED, ANNA, OTTO, ACME, TEAM, OTHER = (UUID(int=n) for n in range(1, 9))
CONTACT = Actor("contact", CARL)
AGENT = Actor("person", ANNA)
CLIENT = Actor("client", UUID(int=20))
DOCUMENTS: dict[tuple[str, str], Any] = {
    ("contacts", str(CARL)): Contact(CARL, 1, name="Carl", organisation_id=ACME),
    ("contacts", str(DORA)): Contact(DORA, 1, name="Dora"),
    ("contacts", str(ERASED)): Contact(ERASED, 2, erased=True),
    ("current-queue", "support"): CurrentQueue("support", 3),
    ("queue", "support@3"): Definition("support", 3, {"p1": 60}, {"low": {"low": "p2"}}, "p3"),
    ("person", str(ANNA)): Person(ANNA, True),
    ("person", str(OTTO)): Person(OTTO, False),
    ("team", str(TEAM)): Team(TEAM, "Field"),
}
SUBMIT = Submit(CONTACT, CARL, "support", "Line down", "Since this morning")
BY_AGENT = changed(SUBMIT, actor=AGENT)
BY_CLIENT = changed(SUBMIT, actor=CLIENT, client="erp")


def known(**held: UUID) -> Facts:
    return Facts(DOCUMENTS, holders=held)


def submitted(message: Submit, **held: UUID) -> RequestSubmitted:
    [fact] = decide(None, message, NOON, known(**held), Scheme())
    assert isinstance(fact, RequestSubmitted)
    return fact


def state_after(message: Submit) -> Submission:
    return evolve(None, submitted(message))


def may(message: Submit, *rights: str) -> Submit:
    return changed(message, actor=changed(message.actor, rights=frozenset(rights)))


def test_S18_a_contact_submits_for_itself() -> None:
    fact = submitted(SUBMIT)
    assert (fact.contact_id, fact.organisation_id, fact.submitted_by) == (CARL, ACME, By("contact", CARL))
    assert (fact.channel, fact.owner_id) == ("portal", None)


def test_S18_an_agent_submits_for_a_contact() -> None:
    fact = submitted(changed(BY_AGENT, contact_id=DORA))
    assert (fact.contact_id, fact.channel, fact.submitted_by) == (DORA, "agent", By("person", ANNA))


def test_S19_another_system_submits_for_a_contact() -> None:
    assert submitted(BY_CLIENT).channel == "api"


def test_a_contact_does_not_submit_for_another() -> None:
    with pytest.raises(refusals.NotYourContact):
        submitted(changed(SUBMIT, contact_id=DORA))


def test_S20_queue_and_contact_must_be_known() -> None:
    with pytest.raises(refusals.QueueNotKnown):
        submitted(changed(SUBMIT, queue="sales"))
    with pytest.raises(refusals.ContactNotKnown):
        submitted(changed(BY_AGENT, contact_id=OTHER))
    assert issubclass(refusals.QueueNotKnown, Unknown)
    assert issubclass(refusals.ContactNotKnown, Unknown)


def test_nobody_submits_for_an_erased_contact() -> None:
    with pytest.raises(refusals.ContactErased):
        submitted(changed(BY_AGENT, contact_id=ERASED))


def test_S20_the_request_takes_the_current_version_of_its_queue() -> None:
    assert (submitted(SUBMIT).queue, submitted(SUBMIT).queue_version) == ("support", 3)


@pytest.mark.parametrize("priority", [None, "low", "critical", "p1", "p2", "p3"])
def test_a_priority_that_the_queue_knows_is_taken(priority: str | None) -> None:
    assert submitted(changed(BY_AGENT, priority=priority)).priority == priority


@pytest.mark.parametrize("priority", ["hi", "meduim", "p4"])
def test_a_priority_that_the_queue_does_not_know_is_refused_by_name(priority: str) -> None:
    with pytest.raises(refusals.PriorityNotKnown, match=f"support has no priority {priority}"):
        submitted(changed(BY_AGENT, priority=priority))


def test_a_request_is_submitted_once() -> None:
    with pytest.raises(refusals.AlreadySubmitted):
        decide(state_after(SUBMIT), SUBMIT, NOON, known(), Scheme())


def test_S31_the_next_number_is_written_as_the_scheme_says() -> None:
    assert submitted(SUBMIT).number == "R-000001"
    [fact] = decide(None, SUBMIT, NOON, known(), Scheme("{year}-{:04d}"))
    assert isinstance(fact, RequestSubmitted)
    assert fact.number == "2026-0001"
    assert numbers(SUBMIT) == ("request_numbers",)
    assert numbers(NoteStatus("new")) == ()


def test_S33_without_an_owner_the_agent_who_creates_owns() -> None:
    assert submitted(BY_AGENT).owner_id == ANNA
    assert submitted(BY_CLIENT).owner_id is None


def test_S32_a_given_owner_or_team_is_kept() -> None:
    given_team = submitted(changed(BY_AGENT, team_id=TEAM))
    assert (given_team.owner_id, given_team.team_id) == (None, TEAM)
    assert submitted(changed(BY_CLIENT, owner_id=ANNA)).owner_id == ANNA


def test_an_owner_must_work_here() -> None:
    with pytest.raises(Invalid):
        submitted(changed(BY_AGENT, owner_id=OTTO))
    with pytest.raises(Unknown):
        submitted(changed(BY_AGENT, owner_id=OTHER))
    with pytest.raises(Unknown):
        submitted(changed(BY_AGENT, team_id=OTHER))


@pytest.mark.parametrize("field", ["priority", "owner_id", "team_id", "external_reference"])
def test_a_contact_leaves_the_desks_fields_alone(field: str) -> None:
    value: Any = {"owner_id": ANNA, "team_id": TEAM}.get(field, "high")
    with pytest.raises(refusals.FieldNotAllowed):
        submitted(changed(SUBMIT, **{field: value}))
    assert getattr(submitted(changed(BY_AGENT, **{field: value})), field) == value


def test_S39_impact_and_urgency_are_medium_unless_given() -> None:
    fact = submitted(SUBMIT)
    assert (fact.impact, fact.urgency, fact.priority) == ("medium", "medium", None)


def test_S37_impact_and_urgency_are_taken_as_given() -> None:
    fact = submitted(changed(SUBMIT, impact="high", urgency="low"))
    assert (fact.impact, fact.urgency) == ("high", "low")


# -- three times (S104) ----------------------------------------------------------------------------------------------


def test_S104_received_now_needs_no_right() -> None:
    assert submitted(changed(SUBMIT, received_at=NOON)).received_at == NOON
    assert submitted(SUBMIT).received_at == NOON


def test_S104_received_before_now_needs_the_right() -> None:
    earlier = changed(BY_AGENT, received_at=NOON - TICK)
    with pytest.raises(refusals.RightMissing) as refused:
        submitted(earlier)
    assert refused.value.facts == {"right": access.BACKDATE}
    assert submitted(may(earlier, access.BACKDATE)).received_at == NOON - TICK


def test_S104_a_clock_that_runs_ahead_counts_as_now() -> None:
    assert submitted(changed(SUBMIT, received_at=NOON + times.CLOCK_SKEW)).received_at == NOON


def test_S104_nothing_is_received_in_the_future() -> None:
    with pytest.raises(Invalid) as refused:
        submitted(changed(SUBMIT, received_at=NOON + times.CLOCK_SKEW + TICK))
    assert [error["pointer"] for error in refused.value.facts["errors"]] == ["/received_at"]


def test_S104_what_occurred_earlier_needs_no_right() -> None:
    fact = submitted(changed(SUBMIT, occurred_at=NOON - timedelta(days=2)))
    assert (fact.occurred_at, fact.received_at) == (NOON - timedelta(days=2), NOON)


def test_S104_nothing_occurs_after_it_was_received() -> None:
    backdated = may(changed(BY_AGENT, received_at=NOON - timedelta(hours=1)), access.BACKDATE)
    with pytest.raises(Invalid):
        submitted(changed(backdated, occurred_at=NOON - timedelta(hours=1) + times.CLOCK_SKEW + TICK))
    assert submitted(changed(backdated, occurred_at=NOON - timedelta(hours=1))).occurred_at == backdated.received_at


@given(
    occurred=st.none() | st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(minutes=9)),
    received=st.none() | st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(minutes=9)),
)
def test_S104_times_are_in_order_or_refused(occurred: timedelta | None, received: timedelta | None) -> None:
    message = may(BY_AGENT, access.BACKDATE)
    message = changed(
        message,
        occurred_at=None if occurred is None else NOON + occurred,
        received_at=None if received is None else NOON + received,
    )
    try:
        fact = submitted(message)
    except Invalid:
        return
    assert fact.occurred_at <= fact.received_at <= NOON


# -- history and stages ----------------------------------------------------------------------------------------------


def test_history_needs_its_right_and_brings_its_own_times() -> None:
    then = NOON - timedelta(days=900)
    history = changed(BY_CLIENT, mode="history", effective_at=then, stage="Queued")
    with pytest.raises(refusals.RightMissing):
        submitted(history)
    fact = submitted(may(history, access.HISTORY))
    assert (fact.received_at, fact.stage, fact.mode, fact.channel) == (then, "Queued", "history", "import")


def test_a_stage_needs_a_right_outside_history() -> None:
    placed = changed(BY_AGENT, stage="Work")
    with pytest.raises(refusals.RightMissing):
        submitted(placed)
    assert submitted(may(placed, access.PLACE)).stage == "Work"


def test_there_are_two_modes() -> None:
    with pytest.raises(Invalid):
        submitted(changed(BY_AGENT, mode="rehearsal"))


# -- references ------------------------------------------------------------------------------------------------------


def test_a_clients_reference_names_one_request() -> None:
    message = changed(BY_CLIENT, external_reference="4711")
    [claim] = claims(state_after(message))
    with pytest.raises(refusals.ExternalReferenceTaken) as refused:
        decide(None, message, NOON, known(**{claim: OTHER}), Scheme())
    assert refused.value.facts == {"request_id": str(OTHER)}


def test_two_clients_may_use_the_same_reference() -> None:
    ours = claims(state_after(changed(BY_CLIENT, external_reference="4711")))
    theirs = claims(state_after(changed(BY_CLIENT, client="crm", external_reference="4711")))
    assert ours != theirs


def test_without_a_reference_nothing_is_claimed() -> None:
    assert claims(state_after(BY_CLIENT)) == []


# -- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("summary", limits.SUMMARY),
        ("description", limits.DESCRIPTION),
        ("category", limits.CATEGORY),
        ("external_reference", limits.REFERENCE),
    ],
)
def test_texts_are_taken_up_to_their_limit(field: str, limit: int) -> None:
    assert getattr(submitted(changed(BY_AGENT, **{field: "x" * limit})), field) == "x" * limit
    with pytest.raises(Invalid) as refused:
        submitted(changed(BY_AGENT, **{field: "x" * (limit + 1)}))
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [f"/{field}"]


@pytest.mark.parametrize("summary", ["", "   ", "\n"])
def test_S95_a_summary_is_not_blank(summary: str) -> None:
    with pytest.raises(Invalid):
        submitted(changed(SUBMIT, summary=summary))


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        submitted(changed(SUBMIT, summary="", impact="VERY HIGH", custom={"a": {"b": {"c": {"d": 1}}}}))
    assert {error["pointer"] for error in refused.value.facts["errors"]} == {"/summary", "/impact", "/custom"}


# -- what workflow says ----------------------------------------------------------------------------------------------


def test_status_and_stage_follow_workflow() -> None:
    state = state_after(SUBMIT)
    assert (state.status, state.stage) == ("submitted", None)
    [fact] = decide(state, NoteStatus("new", "New"), NOON, known(), Scheme())
    assert fact == StatusNoted("new", "New", None)
    state = evolve(state, fact)
    assert (state.status, state.stage) == ("new", "New")


def test_status_that_is_no_news_is_not_noted() -> None:
    state = evolve(state_after(SUBMIT), StatusNoted("new", "New", None))
    assert decide(state, NoteStatus("new", "New"), NOON, known(), Scheme()) == []


def test_a_closed_request_shows_its_outcome_until_it_is_reopened() -> None:
    state = evolve(state_after(SUBMIT), StatusNoted("closed", "Closed", "resolved"))
    [fact] = decide(state, NoteStatus("in-progress", "Work"), NOON, known(), Scheme())
    assert evolve(state, fact).outcome is None


def test_status_of_a_request_that_is_not_known_waits() -> None:
    with pytest.raises(refusals.RequestNotKnown):
        decide(None, NoteStatus("new", "New"), NOON, known(), Scheme())


def test_a_decision_names_the_documents_that_it_reads() -> None:
    message = changed(BY_AGENT, owner_id=ANNA, team_id=TEAM)
    assert set(refs(message)) == {
        ("contacts", str(CARL)),
        ("current-queue", "support"),
        ("person", str(ANNA)),
        ("team", str(TEAM)),
    }
    assert refs(NoteStatus("new")) == []


def test_the_request_names_the_persons_whose_data_it_holds() -> None:
    assert persons(state_after(SUBMIT)) == [CARL]
    assert persons(state_after(BY_AGENT)) == [CARL, ANNA]
