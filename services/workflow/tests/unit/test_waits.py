"""Waiting: what stops the clock, and what does not."""

from datetime import timedelta
from typing import Any

import pytest

from testkit.deciding import NOON
from workflow.domain import facts, lifecycle, refusals, sla
from workflow.domain.messages import ChangePriority, PostMessage, Resume, Wait

HOUR = timedelta(hours=1)


def test_a_wait_that_pauses_disarms_the_alarm_and_resuming_arms_it_later(opened: Any) -> None:
    case = opened()
    case.later(hours=1).ask(Wait("customer", case.owner))
    assert lifecycle.agenda(case.open) == {}
    [ended] = case.later(hours=9).ask(Resume(case.owner))
    assert ended.due_at == NOON + 13 * HOUR
    assert list(lifecycle.agenda(case.open).values()) == [NOON + 13 * HOUR + timedelta(microseconds=1)]


def test_a_wait_that_pauses_nothing_leaves_the_clock_running(opened: Any) -> None:
    case = opened()
    case.ask(Wait("colleague", case.owner))
    [breach] = case.ring()
    assert breach.breached_at == NOON + 4 * HOUR


def test_two_reasons_are_a_union(opened: Any) -> None:
    case = opened()
    case.ask(Wait("customer", case.owner))
    case.later(hours=2).ask(Wait("vendor", case.owner))
    case.later(hours=2).ask(PostMessage("here it is", case.contact))
    assert [hold.reason for hold in case.open.holds] == ["vendor"]
    case.later(hours=2).ask(Resume(case.owner))
    assert sla.elapsed_at(case.open.clock, case.now) == 0
    assert sla.paused_at(case.open.clock, case.now) == sla.minutes(360)


def test_the_customers_message_ends_waiting_for_the_customer_only(opened: Any) -> None:
    case = opened()
    case.ask(Wait("customer", case.owner))
    assert [type(fact) for fact in case.ask(PostMessage("?", case.owner))] == [facts.MessagePosted]
    assert [type(fact) for fact in case.ask(PostMessage("!", case.contact))] == [facts.MessagePosted, facts.WaitEnded]


def test_a_reason_that_the_queue_does_not_name_is_refused(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.NoSuchReason):
        case.ask(Wait("lunch", case.owner))


def test_it_waits_for_a_reason_once(opened: Any) -> None:
    case = opened()
    case.ask(Wait("customer", case.owner))
    with pytest.raises(refusals.AlreadyWaiting):
        case.ask(Wait("customer", case.owner))


def test_only_what_waits_resumes(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.NotWaiting):
        case.ask(Resume(case.owner))


def test_a_breach_that_is_due_is_stated_before_the_wait_that_comes_too_late(opened: Any) -> None:
    case = opened()
    breach, began = case.later(hours=5).ask(Wait("customer", case.owner))
    assert isinstance(breach, facts.SlaBreached)
    assert (breach.breached_at, breach.emitted_at, breach.overdue_seconds) == (NOON + 4 * HOUR, NOON + 5 * HOUR, 3600)
    assert isinstance(began, facts.WaitBegan)


def test_a_wait_at_the_due_instant_itself_is_in_time(opened: Any) -> None:
    case = opened()
    assert [type(fact) for fact in case.later(hours=4).ask(Wait("customer", case.owner))] == [facts.WaitBegan]


def test_S114_a_higher_priority_carries_what_was_used(opened: Any) -> None:
    case = opened()
    [told] = case.later(hours=1).ask(ChangePriority("high", None, None, case.owner))
    assert (told.previous, told.priority, told.due_at) == ("medium", "high", NOON + 2 * HOUR)


def test_S114_a_target_that_is_used_up_already_breaches_at_the_change(opened: Any) -> None:
    case = opened()
    told, breach = case.later(hours=3).ask(ChangePriority("critical", None, None, case.owner))
    assert isinstance(told, facts.PriorityChanged)
    assert (breach.breached_at, breach.overdue_seconds) == (NOON + 3 * HOUR, 7200)
    assert lifecycle.agenda(case.open) == {}


def test_S36_urgency_and_impact_make_the_priority(opened: Any) -> None:
    case = opened()
    [told] = case.ask(ChangePriority(None, "high", "high", case.owner))
    assert (told.priority, told.urgency, told.impact) == ("critical", "high", "high")


def test_S114_a_change_of_urgency_is_recorded_though_the_priority_stays(opened: Any) -> None:
    case = opened()
    [told] = case.ask(ChangePriority("medium", "low", None, case.owner))
    assert (told.priority, told.urgency) == ("medium", "low")
    assert case.ask(ChangePriority("medium", "low", None, case.owner)) == []


@pytest.mark.parametrize("names", [{"completion_minutes": {"p1": 60}}, {"matrix": {"low": {"low": "p1"}}}])
def test_a_priority_is_a_standard_one_or_one_that_the_queue_names(opened: Any, names: dict[str, Any]) -> None:
    case = opened(queue=names)
    [told] = case.ask(ChangePriority("p1", None, None, case.owner))
    assert told.priority == "p1"
    with pytest.raises(refusals.NoSuchPriority):
        case.ask(ChangePriority("hi", None, None, case.owner))


def test_a_change_of_nothing_is_refused(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.NothingChanges):
        case.ask(ChangePriority(None, None, None, case.owner))
