"""I6 by planted violations: a breach that nobody states, or of another time than was told; and what is in order.

Each test tells a request's facts by itself; wake-ups and agendas are not asked.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cli.reconcile.heard import Heard
from testkit.chaos.auditor import LAWS
from testkit.chaos.evidence import Evidence
from testkit.chaos.laws.clocks import BOUND
from testkit.chaos.laws.duetimes import TOLD_WITHIN, every_breach_is_stated
from testkit.chaos.operations import Operations

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REQUEST = UUID(int=7)
LATE = 60 + BOUND + TOLD_WITHIN
"""The last second at which a breach that was due at the 60th may still be on its way."""


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Clock:
    """What workflow tells of one request, each fact at a second of its own."""

    def __init__(self) -> None:
        self.evidence = Evidence(Operations())

    def tell(self, kind: str, second: float, **data: Any) -> "Clock":
        facts, told = self.evidence.facts, dict(data)
        if kind == "stage-changed":
            told.setdefault("state", "in-progress")
        if "due_at" in data:
            told["due_at"] = None if data["due_at"] is None else at(data["due_at"]).isoformat()
        sequence = len(facts) + 1
        facts.append(
            Heard("workflow.requests", f"workflow.{kind}", REQUEST, sequence, UUID(int=sequence), at(second), told)
        )
        return self

    def opened(self, second: float = 0, *, due: float | None = 60, mode: str = "live") -> "Clock":
        return self.tell("request-opened", second, due_at=due, mode=mode)

    def breached(self, second: float, due: float) -> "Clock":
        return self.tell("sla-breached", second, clock="resolution", due_at=due, emitted_at=at(second).isoformat())

    def closed(self, second: float) -> "Clock":
        self.tell("stage-changed", second, state="closed", due_at=None)
        return self.tell("request-closed", second, closed_at=at(second).isoformat())

    def found(self, looked_at: float | None = None, hindered: tuple[tuple[float, float], ...] = ()) -> list[str]:
        self.evidence.at = None if looked_at is None else at(looked_at)
        self.evidence.hindered = [(at(begins), at(ends)) for begins, ends in hindered]
        return [name for name, where, told in every_breach_is_stated(self.evidence) if str(REQUEST) in where and told]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(("looked_at", "found"), [(59, 0), (LATE, 0), (LATE + 0.001, 1), (9_999, 1)])
def test_a_breach_that_is_never_stated_is_found_once_it_cannot_be_on_its_way(
    clock: Clock, looked_at: float, found: int
) -> None:
    assert every_breach_is_stated in LAWS["I6"]
    assert clock.opened().found(looked_at) == ["never-breached"] * found


def test_a_breach_that_was_stated_is_in_order(clock: Clock) -> None:
    assert clock.opened().breached(60.1, 60).found(9_999) == []


def test_the_breach_of_another_clock_is_not_this_ones(clock: Clock) -> None:
    clock.opened().tell("sla-breached", 60.1, clock="response", due_at=60, emitted_at=at(60.1).isoformat())
    assert clock.found(9_999) == ["never-breached"]


def test_nobody_says_when_the_topics_were_read_and_nothing_is_said_to_be_missing(clock: Clock) -> None:
    assert clock.opened().found(None) == []


@pytest.mark.parametrize(
    ("span", "found"), [((50, LATE + 1), 0), ((61, 62.5), 0), ((61, 61.5), 1), ((0, 59), 1), ((LATE + 2, 99), 1)]
)
def test_the_time_in_which_a_fault_stood_in_the_way_is_not_counted(
    clock: Clock, span: tuple[float, float], found: int
) -> None:
    assert clock.opened().found(LATE + 1, (span,)) == ["never-breached"] * found


def test_one_that_was_opened_late_may_breach_from_then_on(clock: Clock) -> None:
    clock.opened(1000)
    assert clock.found(1000 + BOUND + TOLD_WITHIN) == []
    assert clock.found(1001 + BOUND + TOLD_WITHIN) == ["never-breached"]


def test_without_a_due_time_there_is_nothing_to_breach(clock: Clock) -> None:
    assert clock.opened(due=None).found(9_999) == []


@pytest.mark.parametrize(("second", "found"), [(59, 0), (60, 0), (60.001, 1)])
def test_a_close_after_the_due_time_without_a_breach_is_found(clock: Clock, second: float, found: int) -> None:
    assert clock.opened().closed(second).found(9_999) == ["never-breached"] * found


def test_what_was_submitted_as_done_closes_as_of_when_it_was_received(clock: Clock) -> None:
    clock.opened(1000).tell("stage-changed", 1000, state="closed", due_at=60)
    clock.tell("request-closed", 1000, closed_at=at(0).isoformat())
    assert clock.found(9_999) == []


def test_a_clock_that_stands_still_passes_no_due_time(clock: Clock) -> None:
    clock.opened().tell("wait-began", 30, reason="customer", pauses=True)
    assert clock.found(9_999) == []
    clock.tell("wait-ended", 130, reason="customer", due_at=160)
    assert clock.found(160 + BOUND + TOLD_WITHIN) == []
    assert clock.found(9_999) == ["never-breached"]


def test_a_wait_that_does_not_pause_the_clock_puts_nothing_off(clock: Clock) -> None:
    clock.opened().tell("wait-began", 30, reason="change-window", pauses=False)
    assert clock.found(9_999) == ["never-breached"]


def test_a_due_time_that_had_passed_before_the_wait_began_is_not_forgotten_with_it(clock: Clock) -> None:
    clock.opened().tell("wait-began", 61, reason="customer", pauses=True)
    assert clock.found(9_999) == ["never-breached"]


@pytest.mark.parametrize("kind", ["stage-changed", "wait-ended", "priority-changed", "request-reopened", "went-live"])
def test_the_due_time_that_was_told_last_counts(clock: Clock, kind: str) -> None:
    clock.opened().tell(kind, 30, due_at=200)
    assert clock.found(200 + BOUND + TOLD_WITHIN) == []
    assert clock.found(9_999) == ["never-breached"]


@pytest.mark.parametrize("kind", ["stage-changed", "wait-ended", "priority-changed"])
def test_a_move_after_the_due_time_with_no_breach_before_it_is_found(clock: Clock, kind: str) -> None:
    assert clock.opened().tell(kind, 61, due_at=200).found(62) == ["never-breached"]


def test_a_request_that_is_being_moved_in_breaches_when_it_lives(clock: Clock) -> None:
    clock.opened(mode="history").tell("stage-changed", 500, due_at=60)
    assert clock.found(9_999) == []
    clock.tell("went-live", 510, due_at=600)
    assert clock.found(9_999) == ["never-breached"]


def test_what_has_breached_does_so_no_more_when_it_is_reopened(clock: Clock) -> None:
    clock.opened().breached(60.1, 60).closed(70).tell("request-reopened", 80, due_at=60)
    assert clock.found(9_999) == []


def test_a_breach_of_another_time_than_was_told_last_is_found(clock: Clock) -> None:
    clock.opened().tell("wait-began", 30, reason="customer", pauses=True).tell("wait-ended", 40, due_at=70)
    assert clock.breached(60.1, 60).found(9_999) == ["breached-otherwise"]


def test_a_breach_while_the_clock_stands_still_is_found(clock: Clock) -> None:
    clock.opened().tell("wait-began", 30, reason="customer", pauses=True).breached(60.1, 60)
    assert clock.found(9_999) == ["breached-otherwise"]


def test_a_priority_may_leave_less_time_than_was_used_already(clock: Clock) -> None:
    clock.opened().tell("priority-changed", 30, due_at=None).breached(30, 30)
    assert clock.found(9_999) == []


def test_facts_that_come_again_or_out_of_order_of_requests_change_nothing(clock: Clock) -> None:
    clock.opened().tell("stage-changed", 30, due_at=60).breached(60.1, 60)
    clock.evidence.facts += reversed(clock.evidence.facts)
    assert clock.found(9_999) == []
