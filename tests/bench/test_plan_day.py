"""A planned day: what arrives adds up, queues lose nothing, and more work never means less waiting."""

from itertools import accumulate

import pytest
from bench.planner.day import MINUTES, PEAK_AT, arrivals, curve, drained_after, serve
from hypothesis import given
from hypothesis import strategies as st

FACTORS = st.floats(1.0, 12.0)
AMOUNTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)
CAPACITIES = st.floats(0.1, 1e5)


@given(FACTORS)
def test_a_curve_is_1_on_average_and_its_factor_at_the_peak(factor: float) -> None:
    day = curve(factor)
    assert sum(day) / len(day) == pytest.approx(1.0)
    assert max(day) == day[PEAK_AT] == pytest.approx(factor)
    assert min(day) >= -1e-9


@pytest.mark.parametrize("factor", [0.99, 12.01])
def test_a_curve_has_a_factor_between_1_and_12(factor: float) -> None:
    with pytest.raises(ValueError, match="between 1 and 12"):
        curve(factor)


@given(st.floats(1, 1e9), FACTORS, st.floats(1, 20), st.integers(1, 240))
def test_a_burst_comes_on_top_of_an_ordinary_day(per_day: float, factor: float, burst: float, minutes: int) -> None:
    both = arrivals(per_day, factor, burst, minutes)
    first, second = both[:MINUTES], both[MINUTES:]
    in_burst = second[PEAK_AT : PEAK_AT + minutes]
    assert sum(second) == pytest.approx(per_day)
    assert sum(first) == pytest.approx(per_day + (burst - 1) * sum(in_burst))
    assert first[: PEAK_AT - 1] == second[: PEAK_AT - 1]
    assert max(first) == pytest.approx(per_day / MINUTES * factor * burst)


@given(AMOUNTS, CAPACITIES)
def test_a_queue_loses_nothing_and_makes_nothing(arriving: list[float], per_s: float) -> None:
    served = serve(arriving, per_s)
    came, went = accumulate(arriving), accumulate(served.done)
    for some, gone, waiting in zip(came, went, served.waiting, strict=True):
        assert some == pytest.approx(gone + waiting, abs=1e-3)


@given(AMOUNTS, CAPACITIES)
def test_a_role_rests_only_when_nothing_waits(arriving: list[float], per_s: float) -> None:
    served = serve(arriving, per_s)
    for done, waiting in zip(served.done, served.waiting, strict=True):
        assert 0 <= done <= served.per_minute
        assert waiting >= 0
        assert waiting == 0 or done == served.per_minute


@given(AMOUNTS, CAPACITIES, st.floats(1, 10))
def test_more_work_waits_no_less_and_more_capacity_no_longer(arriving: list[float], per_s: float, more: float) -> None:
    worst = serve(arriving, per_s).worst_seconds
    assert serve([some * more for some in arriving], per_s).worst_seconds >= worst * (1 - 1e-9)
    assert serve(arriving, per_s * more).worst_seconds <= worst * (1 + 1e-9)


def test_a_queue_by_hand() -> None:
    served = serve([600.0, 3_600.0, 0.0, 600.0], per_second=20.0)
    assert served.done == (600.0, 1_200.0, 1_200.0, 1_200.0)
    assert served.waiting == (0.0, 2_400.0, 1_200.0, 600.0)
    assert served.worst_seconds == 120.0


def test_a_queue_is_drained_when_the_last_has_gone() -> None:
    one = serve([1_200.0, 3_600.0, 0.0, 0.0, 0.0], per_second=20.0)
    other = serve([1_200.0, 1_200.0, 0.0, 0.0, 0.0], per_second=20.0)
    assert drained_after([one, other], 2) == 2
    assert drained_after([other], 2) == 0
    assert drained_after([serve([9_999.0, 0.0], per_second=1.0)], 1) is None
