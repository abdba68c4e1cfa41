"""The life of an approval: asked, voted on, settled once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from approvals.domain.approval_file import LONGEST_WAIT, agenda, complete, decide, evolve
from approvals.domain.facts import ApprovalOpened, ApprovalRequested, ApprovalSettled, VoteCast
from approvals.domain.messages import Ask, CastVote, Policy, Withdraw, WithdrawAll
from approvals.domain.records import Person
from approvals.domain.refusals import AlreadyVoted, NoLongerActive, NotAnApprover, UnknownApproval
from approvals.domain.state import SETTLED_KEPT, ApprovalFile
from chassis.decision import SYSTEM, Actor, Invalid, Recalled, TimerDue, changed
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
DUE = NOON + timedelta(hours=4)
TICK = timedelta(microseconds=1)
ANNA, BO, CLEO, OTTO = (UUID(int=n) for n in (1, 2, 3, 4))
TRANSITION = UUID(int=50)
STAFF = {("person", str(each)): Person(each, each != OTTO) for each in (ANNA, BO, CLEO, OTTO)}
KNOWN = Facts(STAFF)

ASK = Ask(TRANSITION, "New", "Work", 1, "hash", Policy("all"), (ANNA, BO), "R-000001", "Line down", None, DUE)


def vote_of(person: UUID, file: ApprovalFile, decision: str = "approve") -> CastVote:
    approval = file.open[0] if file.open else file.settled[0]
    return CastVote(approval.approval_id, decision, None, Actor("person", person))


def after(state: ApprovalFile | None, *messages: Any, now: datetime = NOON) -> ApprovalFile:
    for message in messages:
        for fact in decide(state, message, now, KNOWN):
            state = evolve(state, fact)
    assert state is not None
    return state


def asked(ask: Ask = ASK) -> ApprovalFile:
    return after(None, ask)


def settled(file: ApprovalFile, message: Any, now: datetime = NOON) -> ApprovalSettled:
    [fact] = [fact for fact in decide(file, message, now, KNOWN) if isinstance(fact, ApprovalSettled)]
    return fact


def test_S62_asking_freezes_approvers_policy_and_what_it_is_about() -> None:
    opened, told = decide(None, ASK, NOON, KNOWN)
    assert isinstance(opened, ApprovalOpened)
    assert (opened.approvers, opened.needed, opened.content_hash, opened.visit_no) == ((ANNA, BO), 2, "hash", 1)
    assert isinstance(told, ApprovalRequested)
    assert (told.approval_id, told.approvers, told.policy) == (opened.approval_id, (ANNA, BO), Policy("all"))
    assert (told.number, told.summary, told.due_at) == ("R-000001", "Line down", DUE)


def test_S82_the_last_needed_vote_grants_and_carries_hash_and_visit() -> None:
    file = asked()
    file = after(file, vote_of(ANNA, file))
    outcome = settled(file, vote_of(BO, file))
    assert (outcome.outcome, outcome.approved, outcome.refused, outcome.cause) == ("granted", 2, 0, None)
    assert (outcome.transition_id, outcome.content_hash, outcome.visit_no) == (TRANSITION, "hash", 1)


def test_P9_one_refusal_ends_an_approval_that_needs_all() -> None:
    file = asked()
    assert settled(file, vote_of(ANNA, file, "refuse")).outcome == "refused"


def test_P9_a_vote_that_decides_nothing_settles_nothing() -> None:
    file = asked()
    assert [type(fact) for fact in decide(file, vote_of(ANNA, file), NOON, KNOWN)] == [VoteCast]


@pytest.mark.parametrize(
    ("ask", "cause"),
    [
        (changed(ASK, approvers=()), "no-approver"),
        (changed(ASK, approvers=(OTTO,)), "no-approver"),
        (changed(ASK, approvers=(ANNA,), asked_by=ANNA), "no-approver"),
        (changed(ASK, policy=Policy("k", 3)), "unreachable"),
        (changed(ASK, policy=Policy("k", 0)), "invalid-policy"),
        (changed(ASK, policy=Policy("veto")), "invalid-policy"),
    ],
)
def test_S62_what_nobody_can_grant_fails_closed_at_once(ask: Ask, cause: str) -> None:
    _, opened, closed = decide(None, ask, NOON, KNOWN)
    assert isinstance(opened, ApprovalRequested)
    assert isinstance(closed, ApprovalSettled)
    assert (closed.outcome, closed.cause, closed.approved) == ("refused", cause, 0)
    assert asked(ask).open == ()


def test_P9_k_of_n_with_exactly_k_approvers_is_open() -> None:
    assert asked(changed(ASK, policy=Policy("k", 2))).open[0].needed == 2


def test_a_transition_is_asked_for_once() -> None:
    assert decide(asked(), ASK, NOON, KNOWN) == []
    withdrawn = after(asked(), Withdraw(TRANSITION, "edited"))
    assert decide(withdrawn, ASK, NOON, KNOWN) == []


def test_a_newer_request_for_the_same_transition_supersedes_the_open_one() -> None:
    again = changed(ASK, transition_id=UUID(int=51), visit_no=2)
    old, _, new = decide(asked(), again, NOON, Facts(STAFF, message=UUID(int=9)))
    assert isinstance(old, ApprovalSettled)
    assert (old.outcome, old.cause, old.transition_id) == ("void", "superseded", TRANSITION)
    assert isinstance(new, ApprovalRequested)
    assert new.transition_id == UUID(int=51)


def test_a_transition_to_another_stage_leaves_the_open_one_alone() -> None:
    other = changed(ASK, transition_id=UUID(int=51), to_stage="Done")
    told = decide(asked(), other, NOON, Facts(STAFF, message=UUID(int=9)))
    assert not [fact for fact in told if isinstance(fact, ApprovalSettled)]


@pytest.mark.parametrize("cause", ["regressed", "closed", "edited", "superseded"])
def test_P13_a_withdrawn_transition_voids_its_approval(cause: str) -> None:
    outcome = settled(asked(), Withdraw(TRANSITION, cause))
    assert (outcome.outcome, outcome.cause) == ("void", cause)


def test_P13_withdrawing_another_transition_changes_nothing() -> None:
    assert decide(asked(), Withdraw(UUID(int=77), "edited"), NOON, KNOWN) == []


def test_P13_leaving_the_stage_voids_whatever_is_open() -> None:
    assert settled(asked(), WithdrawAll("regressed")).outcome == "void"


@pytest.mark.parametrize("message", [Withdraw(TRANSITION, "edited"), WithdrawAll("closed")])
def test_what_is_heard_about_a_request_without_approvals_is_nothing(message: Any) -> None:
    assert decide(None, message, NOON, KNOWN) == []


def test_an_approver_votes_once() -> None:
    file = asked()
    file = after(file, vote_of(ANNA, file))
    with pytest.raises(AlreadyVoted):
        decide(file, vote_of(ANNA, file, "refuse"), NOON, KNOWN)


def test_P9_a_vote_after_the_outcome_is_kept_as_late_and_changes_nothing() -> None:
    file = asked(changed(ASK, policy=Policy("any")))
    file = after(file, vote_of(ANNA, file))
    [fact] = decide(file, vote_of(BO, file, "refuse"), NOON, KNOWN)
    assert isinstance(fact, VoteCast)
    assert fact.late
    late = after(file, vote_of(BO, file, "refuse"))
    assert late.settled[0].outcome == "granted"
    with pytest.raises(AlreadyVoted):
        decide(late, vote_of(BO, late), NOON, KNOWN)


def test_somebody_who_was_not_asked_may_not_decide() -> None:
    file = asked()
    with pytest.raises(NotAnApprover):
        decide(file, vote_of(CLEO, file), NOON, KNOWN)


@pytest.mark.parametrize("actor", [Actor("contact", ANNA), Actor("client", ANNA), SYSTEM])
def test_for_anybody_but_staff_the_approval_does_not_exist(actor: Actor) -> None:
    file = asked()
    with pytest.raises(UnknownApproval):
        decide(file, changed(vote_of(ANNA, file), actor=actor), NOON, KNOWN)


def test_an_approver_who_was_switched_off_meanwhile_may_not_decide() -> None:
    file = asked()
    gone = Facts({("person", str(ANNA)): Person(ANNA, False)})
    with pytest.raises(NoLongerActive):
        decide(file, vote_of(ANNA, file), NOON, gone)
    with pytest.raises(NoLongerActive):
        decide(file, vote_of(ANNA, file), NOON, Facts())


def test_an_unknown_approval_is_not_found() -> None:
    with pytest.raises(UnknownApproval):
        decide(None, CastVote(UUID(int=9), "approve", None, Actor("person", ANNA)), NOON, KNOWN)


def test_a_decision_is_approve_or_refuse() -> None:
    file = asked()
    with pytest.raises(Invalid):
        decide(file, vote_of(ANNA, file, "maybe"), NOON, KNOWN)


def test_P11_an_approval_expires_when_its_timer_fires() -> None:
    file = asked()
    [(kind, ref), at] = next(iter(agenda(file).items()))
    outcome = settled(file, TimerDue(kind, ref, at), DUE)
    assert (outcome.outcome, outcome.cause) == ("expired", "due")
    assert agenda(after(file, TimerDue(kind, ref, at), now=DUE)) == {}


def test_P11_a_vote_at_the_due_time_itself_counts() -> None:
    file = asked()
    [fact] = decide(file, vote_of(ANNA, file), DUE, KNOWN)
    assert isinstance(fact, VoteCast)
    assert not fact.late


def test_P11_a_vote_after_the_due_time_first_states_the_expiry_and_is_late() -> None:
    file = asked()
    expired, cast = decide(file, vote_of(ANNA, file), DUE + TICK, KNOWN)
    assert isinstance(expired, ApprovalSettled)
    assert expired.outcome == "expired"
    assert isinstance(cast, VoteCast)
    assert cast.late


def test_P11_a_timer_of_something_else_settles_nothing() -> None:
    file = asked()
    assert decide(file, TimerDue("due", str(UUID(int=9)), DUE), DUE, KNOWN) == []


def test_P11_an_approval_without_due_time_still_ends() -> None:
    assert list(agenda(asked(changed(ASK, due_at=None))).values()) == [NOON + LONGEST_WAIT]


def test_a_file_remembers_a_bounded_number_of_settled_approvals() -> None:
    file: ApprovalFile | None = None
    for n in range(SETTLED_KEPT + 1):
        ask = changed(ASK, transition_id=UUID(int=100 + n), visit_no=n)
        for message in (ask, Withdraw(ask.transition_id, "edited")):
            for fact in decide(file, message, NOON, Facts(STAFF, message=UUID(int=n))):
                file = evolve(file, fact)
    assert file is not None
    assert len(file.settled) == SETTLED_KEPT
    assert file.settled[-1].transition_id == UUID(int=100 + SETTLED_KEPT)


def test_an_opening_decided_again_has_the_approvers_that_were_asked_then() -> None:
    asked_then = ApprovalRequested(UUID(int=70), TRANSITION, (ANNA, CLEO), Policy("k", 1), "R-000001", DUE)
    [opened, _] = decide(None, ASK, NOON, KNOWN)
    again = complete(None, opened, Recalled(NOON, SYSTEM, None, (asked_then,), KNOWN))
    assert again == changed(opened, approval_id=UUID(int=70), approvers=(ANNA, CLEO), needed=1)
    other = changed(asked_then, transition_id=UUID(int=51))
    assert complete(None, opened, Recalled(NOON, SYSTEM, None, (other,), KNOWN)) == opened
