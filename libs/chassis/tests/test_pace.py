"""How long a loop rests between two batches."""

from hypothesis import given
from hypothesis import strategies as st

from chassis.pace import rest_after


@given(st.floats(0, 0.005))
def test_short_batches_start_ten_milliseconds_apart(took: float) -> None:
    assert abs(took + rest_after(took) - 0.01) < 1e-9


@given(st.floats(0.005, 0.05))
def test_a_longer_batch_is_followed_by_a_rest_as_long_as_itself(took: float) -> None:
    assert rest_after(took) == took


@given(st.floats(0.05, 60))
def test_no_rest_is_longer_than_fifty_milliseconds(took: float) -> None:
    assert rest_after(took) == 0.05
