"""From a submission to a request that lives."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.decision import Actor, Unknown, changed
from testkit.deciding import NOON
from workflow.domain import facts, lifecycle, refusals
from workflow.domain.messages import Progress

SOMEBODY = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9fff")


def test_S23_a_request_begins_in_new(opened: Any) -> None:
    request = opened().open
    assert (request.stage, request.state, request.visit_no) == ("New", "new", 1)


def test_S29_the_completion_time_of_its_priority_runs_from_when_it_was_received(opened: Any) -> None:
    [told] = opened(received_at=NOON - timedelta(minutes=30)).facts
    assert told.due_at == NOON - timedelta(minutes=30) + timedelta(minutes=240)


def test_a_priority_without_completion_time_has_no_due_instant_and_rings_never(opened: Any) -> None:
    case = opened(queue={"completion_minutes": {}})
    assert case.facts[0].due_at is None
    assert lifecycle.agenda(case.open) == {}


def test_S33_the_agent_who_creates_it_owns_it(opened: Any) -> None:
    assert opened().open.owner_id == opened().owner.id


def test_S30_a_contact_cannot_own_it_so_the_queue_says_who_does(opened: Any) -> None:
    case = opened(queue={"owner_id": SOMEBODY, "team_id": SOMEBODY}, submitted_by=Actor("contact", SOMEBODY))
    assert (case.open.owner_id, case.open.team_id) == (SOMEBODY, SOMEBODY)


def test_S32_who_was_named_owns_it(opened: Any) -> None:
    case = opened(queue={"owner_id": SOMEBODY}, owner_id=opened().boss.id)
    assert (case.open.owner_id, case.open.team_id) == (opened().boss.id, None)


@pytest.mark.parametrize(
    ("explicit", "default", "urgency", "impact", "priority"),
    [
        ("low", "high", "high", "high", "low"),
        (None, "high", "low", "low", "high"),
        (None, None, "high", "high", "critical"),
        (None, None, "medium", "medium", "medium"),
        (None, None, "high", "low", "medium"),
    ],
)
def test_S39_explicit_wins_over_default_wins_over_matrix(
    opened: Any, explicit: str | None, default: str | None, urgency: str, impact: str, priority: str
) -> None:
    case = opened(queue={"default_priority": default}, priority=explicit, urgency=urgency, impact=impact)
    assert case.open.priority == priority


def test_one_that_arrives_late_records_its_breach_at_once_and_only_once(opened: Any) -> None:
    case = opened(received_at=NOON - timedelta(hours=5))
    [breach] = case.told(facts.SlaBreached)
    assert breach.breached_at == NOON - timedelta(hours=1)
    assert breach.emitted_at == NOON
    assert breach.overdue_seconds == 3600
    assert lifecycle.agenda(case.open) == {}


def test_one_that_arrives_exactly_when_due_is_still_in_time(opened: Any) -> None:
    case = opened(received_at=NOON - timedelta(hours=4))
    assert case.told(facts.SlaBreached) == []
    assert list(lifecycle.agenda(case.open).values()) == [NOON + timedelta(microseconds=1)]


def test_S104_it_can_be_created_directly_in_a_stage(opened: Any) -> None:
    assert opened(stage="Work").open.stage == "Work"


def test_one_created_closed_was_done_at_time_zero(opened: Any) -> None:
    case = opened(stage="Closed", received_at=NOON - timedelta(days=3))
    [closed] = case.told(facts.RequestClosed)
    assert (closed.outcome, closed.close_no, closed.elapsed_seconds, closed.breached) == ("resolved", 1, 0, False)
    assert closed.closed_at == NOON - timedelta(days=3)
    assert (case.open.stage, case.open.state) == ("Closed", "closed")


def test_an_unknown_stage_rejects_the_submission_for_good(opened: Any) -> None:
    case = opened(stage="Nowhere")
    [rejected] = case.facts
    assert rejected.reason == "no-such-stage"
    with pytest.raises(refusals.SubmissionRejected):
        case.ask(Progress(None, case.boss))


def test_an_unknown_version_of_the_queue_may_still_come(opened: Any) -> None:
    with pytest.raises(Unknown):
        opened(queue_version=2)


def test_nothing_is_opened_twice(opened: Any, submission: Any) -> None:
    with pytest.raises(refusals.AlreadyOpen):
        opened().ask(submission)


def test_what_was_never_opened_is_unknown(opened: Any, submission: Any) -> None:
    case = opened()
    case.request = None
    with pytest.raises(refusals.NoSuchRequest):
        case.ask(Progress(None, case.owner))


def test_in_history_mode_nothing_rings(opened: Any, submission: Any) -> None:
    case = opened(mode="history", received_at=NOON - timedelta(minutes=1))
    assert lifecycle.agenda(case.open) == {}
    assert lifecycle.agenda(changed(case.open, mode="live")) != {}
