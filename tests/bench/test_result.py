"""Whether a goal is met is decided the same way everywhere."""

import json
from pathlib import Path

import pytest
from bench import result
from bench.result import APART, TOGETHER, Result, rounded


def test_a_ratio_at_its_goal_is_met_from_either_side() -> None:
    assert Result("rate", 60.0, "1/s", 100.0, 0.6, at_least=True).met
    assert not Result("rate", 59.0, "1/s", 100.0, 0.6, at_least=True).met
    assert Result("cost", 130.0, "ms", 100.0, 1.3).met
    assert not Result("cost", 131.0, "ms", 100.0, 1.3).met


def test_a_goal_for_the_figure_itself_does_not_look_at_the_reference() -> None:
    assert Result("late", 5.0, "ms", 0.1, 5.0, of_ratio=False).met


def test_without_a_reference_a_ratio_goal_is_neither_met_nor_missed() -> None:
    found = Result("rate", 60.0, "1/s", None, 0.6, at_least=True)
    assert found.met is None
    assert found.ratio is None


def test_the_line_for_machines_has_exactly_its_fields() -> None:
    line = Result("rate", 61.23456, "1/s", 100.0, 0.6, at_least=True).line()
    assert list(line) == ["name", "figure", "unit", "reference", "ratio", "goal", "met"]
    assert line["figure"] == 61.23


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (123456.0, 123500.0), (7, 7), ("x", "x")])
def test_figures_keep_four_digits(value: object, expected: object) -> None:
    assert rounded({"a": [value]}) == {"a": [expected]}


def test_a_result_says_which_processes_there_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "RESULTS", tmp_path)
    monkeypatch.setattr(result, "QUICK", False)
    monkeypatch.setattr(result.profiling, "FOLDER", None)
    result.tell(Result("idle", 4.0, "%", None, 5.0, of_ratio=False, topology=TOGETHER), 1.0)
    result.tell(Result("chain", 4.0, "/s", None, 0.6), 1.0)
    kept = [json.loads((tmp_path / f"{name}.json").read_text())["topology"] for name in ("idle", "chain")]
    assert kept == [TOGETHER, APART]
