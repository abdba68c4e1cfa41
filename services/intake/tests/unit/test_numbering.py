"""Request numbers as people read them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.domain.numbering import Scheme, checked

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
TURN_OF_THE_YEAR = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def test_S31_the_usual_scheme() -> None:
    assert Scheme().write(123, NOON) == "R-000123"


def test_S31_zero_padding_grows() -> None:
    assert Scheme().write(999_999, NOON) == "R-999999"
    assert Scheme().write(1_000_000, NOON) == "R-1000000"


def test_S31_dates_are_those_of_the_installations_zone() -> None:
    assert checked("{year}{month}{day}-{:03d}", "UTC").write(1, TURN_OF_THE_YEAR) == "20261231-001"
    assert checked("{year}{month}{day}-{:03d}", "Europe/Berlin").write(1, TURN_OF_THE_YEAR) == "20270101-001"


@pytest.mark.parametrize("pattern", ["{:06d}", "R-{:6d}", "{year}/{:d}"])
def test_S31_patterns_that_serve(pattern: str) -> None:
    assert checked(pattern, "UTC").write(7, NOON)


@pytest.mark.parametrize(
    "pattern",
    [
        "R-",
        "R-{year}",
        "{:06d}{:06d}",
        "{:06d}-{who}",
        "{:06d}}",
        "{{:06d}}",
        "{:06d}-{year:04d}",
        "{:06x}",
        "x" * 40 + "{:d}",
    ],
)
def test_S31_patterns_that_cannot_serve(pattern: str) -> None:
    with pytest.raises(ValueError, match="number"):
        checked(pattern, "UTC")


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from(["R-{:06d}", "{year}-{:03d}", "{:d}"]))
def test_S31_different_numbers_read_differently(one: int, other: int, pattern: str) -> None:
    scheme = checked(pattern, "UTC")
    assert (scheme.write(one, NOON) == scheme.write(other, NOON)) == (one == other)


@given(
    number=st.integers(min_value=1, max_value=10**9),
    pattern=st.sampled_from(["R-{:06d}", "{:06d}", "{year}/{:d}", "{year}{month}{day}-{:03d}", "A.{:2d}.B"]),
)
def test_S31_a_number_is_read_back_as_it_was_written(number: int, pattern: str) -> None:
    scheme = checked(pattern, "Europe/Berlin")
    assert scheme.read(scheme.write(number, NOON)) == number


def test_S31_another_schemes_number_is_not_read() -> None:
    assert checked("R-{:06d}", "UTC").read("2026/000007") is None
    assert checked("A.{:d}.B", "UTC").read("Ax7xB") is None
