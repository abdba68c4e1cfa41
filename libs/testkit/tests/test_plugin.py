"""What the plugin decides for every test."""

import dataclasses
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.decision import record


@record
class Colour:
    name: str


@given(st.just(None))
@settings(max_examples=1)
def test_a_slow_example_does_not_fail_a_property(nothing: None) -> None:
    time.sleep(0.3)  # longer than hypothesis allows by itself


def test_records_are_frozen_in_tests() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Colour("green").name = "red"
