"""Close, reopen, and the end of history mode."""

from datetime import timedelta
from typing import Any

import pytest

from testkit.deciding import NOON
from workflow.domain import facts, lifecycle, refusals, sla
from workflow.domain.messages import (
    AddNote,
    ChargesChanged,
    Close,
    GoLive,
    InvoiceIssued,
    Jump,
    Progress,
    Reopen,
    Resume,
    Wait,
)

WINDOW = timedelta(days=7)


def closed_case(opened: Any, outcome: str = "resolved", **fields: Any) -> Any:
    case = opened(stage="Work", **fields)
    case.later(hours=1).ask(Close(outcome, None, None, case.owner))
    return case


def test_S58_resolved_from_the_last_working_stage(opened: Any) -> None:
    case = closed_case(opened)
    moved, closed = case.facts[-2:]
    assert (moved.to_stage, moved.direction, moved.state) == ("Closed", "close", "closed")
    assert (closed.outcome, closed.close_no, closed.from_stage, closed.elapsed_seconds) == ("resolved", 1, "Work", 3600)
    assert closed.closed_by.id == case.owner.id
    assert case.open.clock.phase == sla.MET
    assert lifecycle.agenda(case.open) == {}


@pytest.mark.parametrize("stage", ["New", "Triage"])
def test_S58_resolved_from_an_earlier_stage_only_where_the_queue_permits_it(opened: Any, stage: str) -> None:
    strict = opened(stage=stage)
    with pytest.raises(refusals.TooEarlyToResolve):
        strict.ask(Close("resolved", None, None, strict.owner))
    lenient = opened(stage=stage, queue={"early_resolve": True})
    assert lenient.ask(Close("resolved", None, None, lenient.owner))


@pytest.mark.parametrize("outcome", ["unresolved", "cancelled"])
@pytest.mark.parametrize("stage", ["New", "Triage", "Work"])
def test_S58_given_up_from_any_stage(opened: Any, stage: str, outcome: str) -> None:
    case = opened(stage=stage)
    case.ask(Close(outcome, None, None, case.owner))
    assert case.open.closing.outcome == outcome


def test_S12_the_contact_cancels_and_does_nothing_else(opened: Any) -> None:
    case = opened()
    for outcome in ("resolved", "unresolved"):
        with pytest.raises(refusals.NotYours):
            case.ask(Close(outcome, None, None, case.contact))
    with pytest.raises(refusals.NoSuchRequest):
        case.ask(Close("cancelled", None, None, case.other_contact))
    assert case.ask(Close("cancelled", None, None, case.contact))


def test_an_outcome_that_there_is_not_is_refused(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.NoSuchOutcome):
        case.ask(Close("maybe", None, None, case.owner))


@pytest.mark.parametrize(
    ("outcome", "hours", "verdict"),
    [
        ("resolved", 4, sla.MET),
        ("unresolved", 5, sla.MISSED),
        ("resolved", 5, sla.MISSED),
        ("cancelled", 5, sla.CANCELLED),
    ],
)
def test_the_close_gives_the_clock_its_verdict(opened: Any, outcome: str, hours: int, verdict: str) -> None:
    case = opened(stage="Work")
    told = case.later(hours=hours).ask(Close(outcome, None, None, case.owner))
    assert case.open.clock.phase == verdict
    assert told[-1].breached == (hours > 4)


def test_S51_the_close_carries_the_charges_that_the_closer_saw(opened: Any) -> None:
    case = opened(stage="Work")
    case.ask(ChargesChanged(3))
    assert case.ask(Close("unresolved", None, None, case.owner))[-1].charge_revision == 3
    case.ask(Reopen("more", None, case.owner))
    assert case.ask(Close("unresolved", 2, None, case.owner))[-1].charge_revision == 2


def test_every_close_takes_a_number(opened: Any) -> None:
    case = closed_case(opened, "cancelled")
    case.ask(Reopen("not yet", None, case.owner))
    assert case.ask(Close("resolved", None, None, case.owner))[-1].close_no == 2


def test_waits_end_at_the_close(opened: Any) -> None:
    case = opened(stage="Work")
    case.ask(Wait("vendor", case.owner))
    told = case.ask(Close("resolved", None, None, case.owner))
    assert [type(fact) for fact in told] == [facts.WaitEnded, facts.StageChanged, facts.RequestClosed]


def test_a_closed_request_takes_nothing_but_words(opened: Any) -> None:
    case = closed_case(opened)
    for message in (Progress(None, case.owner), Close("cancelled", None, None, case.owner), Resume(case.owner)):
        with pytest.raises(refusals.AlreadyClosed):
            case.ask(message)
    assert case.ask(AddNote("called back", case.owner))


def test_the_last_instant_of_the_window_is_inside(opened: Any) -> None:
    case = closed_case(opened)
    case.now = case.open.closing.closed_at + WINDOW
    assert case.ask(Reopen("again", None, case.owner))


def test_after_the_window_nothing_is_reopened(opened: Any) -> None:
    case = closed_case(opened)
    case.now = case.open.closing.closed_at + WINDOW + timedelta(microseconds=1)
    with pytest.raises(refusals.ReopenWindowPassed):
        case.ask(Reopen("again", None, case.owner))


def test_by_default_nothing_is_reopened(opened: Any) -> None:
    case = closed_case(opened, queue={"reopen_days": 0})
    with pytest.raises(refusals.ReopenWindowPassed):
        case.ask(Reopen("again", None, case.owner))


def test_reopening_goes_back_to_where_it_was_closed_and_the_clock_runs_on(opened: Any) -> None:
    case = closed_case(opened)
    reopened, moved = case.later(days=1).ask(Reopen("it broke again", None, case.owner))
    assert (reopened.close_no, reopened.to_stage, reopened.visit_no) == (1, "Work", 2)
    assert (moved.direction, moved.to_stage, moved.visit_no) == ("reopen", "Work", 2)
    assert reopened.due_at == moved.due_at == case.now + timedelta(hours=3)
    assert case.open.reopenings == 1
    assert lifecycle.agenda(case.open) != {}


def test_reopening_may_name_a_stage_to_work_in(opened: Any) -> None:
    case = closed_case(opened)
    with pytest.raises(refusals.NoSuchStage):
        case.ask(Reopen("again", "Closed", case.owner))
    case.ask(Reopen("again", "Triage", case.owner))
    assert case.open.stage == "Triage"


def test_reopening_needs_a_reason_and_a_closed_request(opened: Any) -> None:
    case = closed_case(opened)
    with pytest.raises(refusals.ReasonMissing):
        case.ask(Reopen(" ", None, case.owner))
    case.ask(Reopen("again", None, case.owner))
    with pytest.raises(refusals.NotClosed):
        case.ask(Reopen("again", None, case.owner))


def test_the_latch_outlives_reopening_so_the_breach_is_told_once(opened: Any) -> None:
    case = opened(stage="Work")
    case.later(hours=5).ask(Close("resolved", None, None, case.owner))
    case.later(hours=1).ask(Reopen("again", None, case.owner))
    case.later(days=3).ask(Close("resolved", None, None, case.owner))
    assert len(case.told(facts.SlaBreached)) == 1


def test_the_number_of_its_invoice_is_noted(opened: Any) -> None:
    case = closed_case(opened)
    case.ask(InvoiceIssued("INV-2026-000001", 1))
    assert case.open.invoice == "INV-2026-000001"


def test_backdated_commands_rule_the_clock_of_a_request_in_history_mode(opened: Any) -> None:
    case = opened(mode="history", stage="Work", received_at=NOON - timedelta(days=30), occurred_at=NOON)
    at = NOON - timedelta(days=30)
    case.ask(Wait("customer", case.client, at + timedelta(hours=3)))
    case.ask(Resume(case.client, at + timedelta(days=9)))
    closed = case.ask(Close("resolved", None, None, case.client, at + timedelta(days=9, hours=1)))[-1]
    assert (closed.elapsed_seconds, closed.breached, closed.mode) == (4 * 3600, False, "history")
    assert closed.closed_at == at + timedelta(days=9, hours=1)


def test_a_breach_in_history_mode_is_stated_by_the_command_that_passes_it(opened: Any) -> None:
    at = NOON - timedelta(days=30)
    case = opened(mode="history", received_at=at)
    breach, _ = case.ask(Jump("Work", case.client, at + timedelta(hours=6)))
    assert (breach.breached_at, breach.emitted_at) == (at + timedelta(hours=4), NOON)
    assert breach.overdue_seconds == 7200


def test_nothing_is_dated_before_the_last_change(opened: Any) -> None:
    case = opened(mode="history", received_at=NOON - timedelta(days=2))
    case.ask(Jump("Work", case.client, NOON - timedelta(days=1)))
    with pytest.raises(refusals.BackdatedTooFar):
        case.ask(Jump("Triage", case.client, NOON - timedelta(days=1, microseconds=1)))
    assert case.ask(Jump("Triage", case.client, NOON - timedelta(days=1)))


def test_nothing_is_dated_into_the_future(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.EffectiveInFuture):
        case.ask(Progress(None, case.owner, NOON + timedelta(microseconds=1)))
    assert case.ask(Progress(None, case.owner, NOON))


def test_what_is_only_heard_moves_no_time_in_history_mode(opened: Any) -> None:
    at = NOON - timedelta(days=30)
    case = opened(mode="history", received_at=at)
    assert [type(fact) for fact in case.ask(ChargesChanged(1))] == [facts.ChargesSeen]
    assert case.ask(Jump("Work", case.client, at))


def test_going_live_states_what_is_due_and_arms_the_rest(opened: Any) -> None:
    late = opened(mode="history", received_at=NOON - timedelta(days=1))
    assert [type(fact) for fact in late.ask(GoLive(late.client))] == [facts.SlaBreached, facts.WentLive]
    early = opened(mode="history", received_at=NOON - timedelta(hours=1))
    [live] = early.ask(GoLive(early.client))
    assert live.due_at == NOON + timedelta(hours=3)
    assert lifecycle.agenda(early.open) != {}
    with pytest.raises(refusals.NotInHistoryMode):
        early.ask(GoLive(early.client))
