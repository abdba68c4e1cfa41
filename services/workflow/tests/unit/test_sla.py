"""The clock: elapsed working time against a target, to the microsecond, whenever it is looked at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.domain import sla
from workflow.domain.sla import Clock

NOON = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
EIGHT = sla.minutes(480)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9))


def test_exactly_on_target_is_met() -> None:
    assert sla.breach(sla.start(EIGHT, NOON), NOON + 8 * HOUR) is None


def test_one_microsecond_past_the_target_is_a_breach_at_the_due_instant() -> None:
    clock = sla.start(EIGHT, NOON)
    assert sla.breach(clock, NOON + 8 * HOUR + MICROSECOND) == NOON + 8 * HOUR


def test_the_alarm_rings_at_the_first_instant_at_which_there_is_a_breach() -> None:
    clock = sla.start(EIGHT, NOON)
    rings = sla.fires(clock)
    assert rings is not None
    assert sla.breach(clock, rings) is not None
    assert sla.breach(clock, rings - MICROSECOND) is None


def test_a_pause_moves_the_due_instant_by_the_time_that_it_lasted() -> None:
    clock = sla.resume(sla.pause(sla.start(EIGHT, NOON), NOON + 6 * HOUR), NOON + 70 * HOUR)
    assert sla.elapsed_at(clock, NOON + 70 * HOUR) == sla.minutes(360)
    assert sla.due(clock) == NOON + 72 * HOUR


def test_a_paused_clock_has_no_due_instant_and_never_rings() -> None:
    clock = sla.pause(sla.start(EIGHT, NOON), NOON + HOUR)
    assert sla.due(clock) is None
    assert sla.fires(clock) is None
    assert sla.breach(clock, NOON + 900 * HOUR) is None


def test_pausing_after_a_breach_freezes_the_overdue_figure() -> None:
    late = sla.latch(sla.start(EIGHT, NOON), NOON + 8 * HOUR)
    clock = sla.pause(late, NOON + 9 * HOUR)
    assert sla.remaining_at(clock, NOON + 20 * HOUR) == -3_600_000_000
    assert clock.breached_at == NOON + 8 * HOUR


def test_a_clock_that_ran_out_exactly_when_it_paused_breaches_when_it_runs_again() -> None:
    clock = sla.resume(sla.pause(sla.start(EIGHT, NOON), NOON + 8 * HOUR), NOON + 20 * HOUR)
    assert sla.breach(clock, NOON + 20 * HOUR) is None
    assert sla.breach(clock, NOON + 20 * HOUR + MICROSECOND) == NOON + 20 * HOUR


def test_three_hours_used_and_a_target_cut_to_two_breaches_at_the_change() -> None:
    clock = sla.carry(sla.start(EIGHT, NOON), sla.minutes(120), NOON + 3 * HOUR)
    assert sla.breach(clock, NOON + 3 * HOUR) == NOON + 3 * HOUR
    assert sla.breach(clock, NOON + 50 * HOUR) == NOON + 3 * HOUR


def test_a_target_cut_below_what_a_paused_clock_used_breaches_at_the_change() -> None:
    paused = sla.pause(sla.start(EIGHT, NOON), NOON + 3 * HOUR)
    assert sla.breach(sla.carry(paused, sla.minutes(120), NOON + 5 * HOUR), NOON + 9 * HOUR) == NOON + 5 * HOUR


def test_a_target_cut_to_exactly_what_was_used_breaches_only_after_the_change() -> None:
    clock = sla.carry(sla.start(EIGHT, NOON), sla.minutes(180), NOON + 3 * HOUR)
    assert sla.breach(clock, NOON + 3 * HOUR) is None
    assert sla.breach(clock, NOON + 3 * HOUR + MICROSECOND) == NOON + 3 * HOUR


def test_a_raised_target_keeps_what_was_used_and_the_latch() -> None:
    late = sla.latch(sla.start(sla.minutes(120), NOON), NOON + 2 * HOUR)
    clock = sla.carry(late, EIGHT, NOON + 3 * HOUR)
    assert sla.due(clock) == NOON + 8 * HOUR
    assert sla.breach(clock, NOON + 20 * HOUR) is None
    assert sla.complete(clock, NOON + 4 * HOUR, cancelled=False).phase == sla.MISSED


@pytest.mark.parametrize(
    ("clock", "cancelled", "verdict"),
    [
        (sla.start(EIGHT, NOON), False, sla.MET),
        (sla.latch(sla.start(EIGHT, NOON), NOON), False, sla.MISSED),
        (sla.latch(sla.start(EIGHT, NOON), NOON), True, sla.CANCELLED),
        (sla.start(None, NOON), False, sla.UNTIMED),
    ],
)
def test_the_latch_decides_the_verdict(clock: Clock, cancelled: bool, verdict: str) -> None:
    done = sla.complete(clock, NOON + HOUR, cancelled)
    assert done.phase == verdict
    assert sla.elapsed_at(done, NOON + 99 * HOUR) == sla.minutes(60)


def test_time_between_close_and_reopening_counts_as_neither_work_nor_pause() -> None:
    closed = sla.complete(sla.start(EIGHT, NOON), NOON + 2 * HOUR, cancelled=False)
    clock = sla.reopen(closed, NOON + 50 * HOUR)
    assert sla.elapsed_at(clock, NOON + 51 * HOUR) == sla.minutes(180)
    assert sla.paused_at(clock, NOON + 51 * HOUR) == 0
    assert sla.due(clock) == NOON + 56 * HOUR


def test_a_clock_without_a_target_measures_and_never_breaches() -> None:
    clock = sla.start(None, NOON)
    assert sla.elapsed_at(clock, NOON + HOUR) == sla.minutes(60)
    assert (sla.due(clock), sla.fires(clock), sla.breach(clock, NOON + 9000 * HOUR)) == (None, None, None)


def test_a_day_across_the_change_to_summer_time_is_24_real_hours() -> None:
    saturday_noon_in_berlin = datetime(2026, 3, 28, 11, 0, tzinfo=UTC)
    sunday_one_in_berlin = datetime(2026, 3, 29, 11, 0, tzinfo=UTC)
    assert sla.due(sla.start(sla.minutes(24 * 60), saturday_noon_in_berlin)) == sunday_one_in_berlin


@given(st.lists(spans, max_size=12), spans)
def test_running_and_paused_time_partition_the_life_of_a_clock(gaps: list[timedelta], rest: timedelta) -> None:
    clock, at = sla.start(EIGHT, NOON), NOON
    for n, gap in enumerate(gaps):
        at += gap
        clock = sla.pause(clock, at) if n % 2 == 0 else sla.resume(clock, at)
    end = at + rest
    assert sla.elapsed_at(clock, end) + sla.paused_at(clock, end) == sla.working(NOON, end)


@given(st.lists(spans, max_size=8), st.integers(0, 5_000), spans, spans)
def test_the_instant_of_a_breach_does_not_depend_on_when_it_is_asked(
    gaps: list[timedelta], target: int, first: timedelta, second: timedelta
) -> None:
    clock, at = sla.start(sla.minutes(target), NOON), NOON
    for n, gap in enumerate(gaps):
        at += gap
        found = sla.breach(clock, at)
        clock = sla.latch(clock, found) if found else clock
        clock = sla.pause(clock, at) if n % 2 == 0 else sla.resume(clock, at)
    early, late = (sla.breach(clock, at + shift) for shift in sorted((first, second)))
    assert early is None or early == late


@given(spans)
def test_a_breach_is_stated_at_most_once(shift: timedelta) -> None:
    clock = sla.start(EIGHT, NOON)
    first = sla.breach(clock, NOON + shift)
    if first is not None:
        assert sla.breach(sla.latch(clock, first), NOON + shift) is None
    assert (first is not None) == (shift > 8 * HOUR)


@given(spans, spans, st.integers(0, 20_000))
def test_a_carried_target_never_changes_what_was_used(used: timedelta, after: timedelta, target: int) -> None:
    clock = sla.carry(sla.start(EIGHT, NOON), sla.minutes(target), NOON + used)
    assert sla.elapsed_at(clock, NOON + used + after) == sla.working(NOON, NOON + used + after)
