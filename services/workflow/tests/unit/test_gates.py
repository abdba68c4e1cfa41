"""Approvals before a stage is left: asked once, bound to what was seen, applied only while it still holds."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.decision import changed
from testkit.deciding import NOON
from workflow.domain import facts, refusals
from workflow.domain.messages import (
    ApprovalAsked,
    ApprovalSettled,
    ChangePriority,
    ChargesChanged,
    Close,
    Edit,
    Progress,
    Regress,
)
from workflow.domain.records import Definition, Gate, Policy

APPROVAL, APPROVER, ANOTHER = (UUID(int=n) for n in (1, 2, 3))
GATE = Gate(Policy("k", 1), (APPROVER,), due_minutes=90)


@pytest.fixture
def gated(opened: Any, definition: Definition) -> Any:
    """A request in Triage that asked to leave it; leaving Work needs an approval as well."""
    new, triage, work, closed = definition.stages
    stages = (new, changed(triage, approval=GATE), changed(work, approval=GATE), closed)
    case = opened(queue={"stages": stages}, stage="Triage")
    case.ask(Progress(None, case.owner))
    return case


def settle(case: Any, outcome: str = "granted", **other: Any) -> Any:
    asked = case.told(facts.TransitionRequested)[-1]
    settled = ApprovalSettled(APPROVAL, asked.transition_id, outcome, asked.content_hash, asked.visit_no)
    return case.ask(changed(settled, **other))


def test_S62_progress_waits_for_the_approval(gated: Any) -> None:
    [asked] = gated.told(facts.TransitionRequested)
    assert (asked.from_stage, asked.to_stage, asked.visit_no) == ("Triage", "Work", 1)
    assert (asked.policy, asked.approvers, asked.due_at) == (GATE.policy, (APPROVER,), NOON + timedelta(minutes=90))
    assert gated.open.stage == "Triage"


def test_only_one_approval_is_open_at_a_time(gated: Any) -> None:
    with pytest.raises(refusals.ApprovalPending):
        gated.ask(Progress(None, gated.owner))


def test_the_approvals_file_is_noted_on_its_transition_only(gated: Any) -> None:
    assert gated.ask(ApprovalAsked(APPROVAL, ANOTHER)) == []
    gated.ask(ApprovalAsked(APPROVAL, gated.open.transition.transition_id))
    assert gated.open.transition.approval_id == APPROVAL


def test_a_grant_moves_the_request_and_names_the_transition(gated: Any) -> None:
    transition_id = gated.open.transition.transition_id
    [moved] = settle(gated)
    assert (moved.to_stage, moved.direction, moved.transition_id) == ("Work", "progress", transition_id)
    assert gated.open.transition is None


@pytest.mark.parametrize("outcome", ["refused", "expired", "void"])
def test_without_a_grant_it_stays_and_may_ask_again(gated: Any, outcome: str) -> None:
    [denied] = settle(gated, outcome)
    assert isinstance(denied, facts.TransitionDenied)
    assert (gated.open.stage, gated.open.transition) == ("Triage", None)
    [again] = gated.ask(Progress(None, gated.owner))
    assert again.transition_id != denied.transition_id


@pytest.mark.parametrize("other", [{"visit_no": 2}, {"content_hash": "0" * 64}])
def test_a_grant_for_something_else_is_stale_and_moves_nothing(gated: Any, other: dict[str, Any]) -> None:
    [stale] = settle(gated, **other)
    assert isinstance(stale, facts.GrantStale)
    assert (gated.open.stage, gated.open.transition) == ("Triage", None)


def test_a_grant_that_comes_after_the_withdrawal_is_stale(gated: Any) -> None:
    gated.ask(Regress("rethink", gated.owner))
    [stale] = settle(gated)
    assert (type(stale), stale.cause) == (facts.GrantStale, "withdrawn")
    assert gated.open.stage == "New"
    assert settle(gated, "refused") == []


def test_a_grant_of_the_visit_before_is_stale(gated: Any) -> None:
    gated.ask(Regress("rethink", gated.owner))
    gated.ask(Progress(None, gated.owner))
    gated.ask(Progress(None, gated.owner))
    first, _ = gated.told(facts.TransitionRequested)
    [stale] = gated.ask(ApprovalSettled(APPROVAL, first.transition_id, "granted", first.content_hash, 1))
    assert isinstance(stale, facts.GrantStale)
    assert gated.open.transition is not None


def test_a_late_grant_of_what_was_withdrawn_is_stale_although_the_very_same_is_asked_again(gated: Any) -> None:
    for summary in ("Another line", gated.open.summary):
        gated.ask(Edit({"summary": summary}, gated.owner))
    gated.ask(Progress(None, gated.owner))
    first, again = gated.told(facts.TransitionRequested)
    assert (again.content_hash, again.visit_no) == (first.content_hash, first.visit_no)
    [stale] = gated.ask(ApprovalSettled(APPROVAL, first.transition_id, "granted", first.content_hash, first.visit_no))
    assert isinstance(stale, facts.GrantStale)
    assert (gated.open.stage, gated.open.transition.transition_id) == ("Triage", again.transition_id)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (lambda case: Regress("rethink", case.owner), "regressed"),
        (lambda case: Close("cancelled", None, None, case.contact), "closed"),
        (lambda case: Edit({"summary": "Another line"}, case.owner), "edited"),
        (lambda case: ChangePriority("high", None, None, case.owner), "edited"),
        (lambda _: ChargesChanged(1), "edited"),
    ],
)
def test_what_changes_the_matter_withdraws_the_approval(gated: Any, message: Any, cause: str) -> None:
    told = gated.ask(message(gated))
    assert [fact.cause for fact in told if isinstance(fact, facts.TransitionWithdrawn)] == [cause]
    assert gated.open.transition is None


def test_what_approvers_did_not_judge_may_change_under_their_approval(gated: Any) -> None:
    gated.ask(Edit({"description": "More of it", "category": "Lines"}, gated.owner))
    assert gated.open.transition is not None
    assert settle(gated)[0].to_stage == "Work"


def test_a_resolved_close_waits_for_the_approval_of_its_stage(gated: Any) -> None:
    settle(gated)
    [asked] = gated.ask(Close("resolved", 0, None, gated.owner))
    assert (asked.from_stage, asked.to_stage) == ("Work", "Closed")
    moved, closed = settle(gated)
    assert (closed.outcome, closed.closed_by.id) == ("resolved", gated.owner.id)
    assert moved.transition_id == asked.transition_id


def test_giving_up_needs_nobodys_approval(gated: Any) -> None:
    settle(gated)
    gated.ask(Close("unresolved", None, None, gated.owner))
    assert gated.open.is_closed


def test_nobody_is_asked_in_history_mode(opened: Any, definition: Definition) -> None:
    stages = tuple(changed(stage, approval=GATE) for stage in definition.stages)
    case = opened(queue={"stages": stages}, mode="history")
    assert case.ask(Progress(None, case.client))[0].to_stage == "Triage"
