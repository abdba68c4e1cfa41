"""Figures can only be trusted where what makes them is."""

import os
from itertools import pairwise
from random import Random

import pytest
from bench.measuring import Meter, arrivals, median, medians, parse_stat, percentile, slope, tree_ticks
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200)


def test_the_99th_percentile_of_a_hundred_is_the_second_largest() -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], 0.99) == 99.0


def test_percentiles_end_at_the_smallest_and_the_largest() -> None:
    values = [3.0, 1.0, 2.0]
    assert percentile(values, 0.0) == 1.0
    assert percentile(values, 1.0) == 3.0


@given(VALUES, st.integers(0, 100))
def test_a_percentile_is_a_value_that_its_part_does_not_exceed(values: list[float], percent: int) -> None:
    found = percentile(values, percent / 100)
    below = sum(value < found for value in values)
    within = sum(value <= found for value in values)
    assert found in values
    assert 100 * within >= percent * len(values)
    assert 100 * below < max(1, percent * len(values))


def test_nothing_has_no_percentile_and_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_a_median_is_the_middle_or_the_mean_of_two() -> None:
    assert median([9.0, 1.0, 5.0]) == 5.0
    assert median([1.0, 9.0, 5.0, 7.0]) == 6.0


def test_poisson_arrivals_have_their_rate_and_independent_gaps() -> None:
    moments = list(arrivals(500.0, 100.0, Random(7)))
    gaps = [after - before for before, after in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(moments) == pytest.approx(50_000, rel=0.02)
    assert spread == pytest.approx(mean, rel=0.03)  # as exponential gaps have it; a steady beat would have none
    assert moments == sorted(moments)
    assert moments[0] > 0.0
    assert moments[-1] < 100.0


def test_a_process_may_have_any_name() -> None:
    line = "42 (a) (b c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7"
    assert parse_stat(line) == (7, 127)


def test_ticks_of_a_tree_count_each_process_once() -> None:
    table = {1: (0, 1_000), 10: (1, 5), 11: (10, 7), 12: (11, 11), 20: (1, 13)}
    assert tree_ticks(table, [10, 11]) == 5 + 7 + 11
    assert tree_ticks(table, [20, 99]) == 13


def test_a_meter_sees_this_process_work() -> None:
    meter = Meter({"self": os.getpid()})
    while meter.wall < 5 and meter.read()["self"] == 0.0:
        sum(range(10_000))
    assert meter.read()["self"] > 0.0


def test_medians_are_taken_figure_by_figure_and_within_figures() -> None:
    rounds = [{"us": 3.0, "by": {"a": 1.0}}, {"us": 1.0, "by": {"a": 9.0}}, {"us": 2.0, "by": {"a": 5.0}}]
    assert medians(rounds) == {"us": 2.0, "by": {"a": 5.0}}
    with pytest.raises(ValueError, match="no values"):
        medians([])


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_the_slope_of_a_line_is_its_slope(rise: float, start: float) -> None:
    at = [0.0, 1.0, 2.0, 5.0]
    assert slope(at, [start + rise * x for x in at]) == pytest.approx(rise, abs=1e-9)


def test_one_sample_has_no_slope() -> None:
    assert slope([1.0], [5.0]) == 0.0
