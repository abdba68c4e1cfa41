"""Facts of five services as one story."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.trace_command import chain, said


def fact(second: int, sequence: int, hop: int = 0) -> dict[str, Any]:
    return {"time": f"2026-06-05T12:00:{second:02d}+00:00", "sequence": sequence, "hop": hop}


def test_facts_come_by_time_with_the_time_between_them() -> None:
    steps = list(chain({"intake": [fact(0, 1)], "workflow": [fact(1, 1), fact(5, 2)], "billing": [fact(3, 1)]}))
    assert [(s.service, s.after_seconds) for s in steps] == [
        ("intake", None),
        ("workflow", 1.0),
        ("billing", 2.0),
        ("workflow", 2.0),
    ]


def test_at_one_instant_the_cause_comes_first() -> None:
    steps = list(chain({"workflow": [fact(0, 1, hop=1)], "intake": [fact(0, 1, hop=0)]}))
    assert [s.service for s in steps] == ["intake", "workflow"]


@given(st.lists(st.integers(0, 59), max_size=8), st.lists(st.integers(0, 59), max_size=8))
def test_each_services_facts_stay_in_their_order(ours: list[int], theirs: list[int]) -> None:
    told = {
        name: [fact(second, n + 1) for n, second in enumerate(sorted(seconds))]
        for name, seconds in (("intake", ours), ("workflow", theirs))
    }
    steps = list(chain(told))
    assert len(steps) == len(ours) + len(theirs)
    for name in told:
        own = [s.fact["sequence"] for s in steps if s.service == name]
        assert own == sorted(own)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"number": "R-000001", "contact_id": "x", "priority": None, "stage": "New"}, "number=R-000001 stage=New"),
        ({"text": "x" * 41, "custom": {"a": 1}, "due_at": "soon", "outcome": "resolved"}, "outcome=resolved"),
        ({}, ""),
    ],
)
def test_what_a_fact_says_is_kept_short(data: dict[str, Any], shown: str) -> None:
    assert said(data) == shown
