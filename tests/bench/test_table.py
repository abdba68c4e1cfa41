"""The table of goals says what the results say."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench.table import README, document, lines

KEPT = {"figure": 10.0, "reference": 20.0, "load_average": {"before": 1.6, "after": 2.2}}


def kept(folder: Path, name: str, **details: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps({**KEPT, "details": details}))


def test_the_readme_has_the_table_of_the_results_that_are_kept() -> None:
    assert document(README.read_text()) == README.read_text(), "python -m bench.table --write"


def test_a_goal_is_told_with_its_figure_its_reference_and_their_ratio(tmp_path: Path) -> None:
    kept(tmp_path, "chain", cpu_us=1234.5, reference_cpu_us=500.0)
    rate, cpu = list(lines(tmp_path))[2:]
    assert "| 10 /s | 20 /s | 0.5x (>= 0.6x) | 2 → 2 | `python -m bench.chain` |" in rate
    assert "| 1,234 us | 500 us | 2.5x (<= 1.8x) |" in cpu


def test_without_a_reference_the_figure_stands_alone(tmp_path: Path) -> None:
    kept(tmp_path, "relay", cpu_us=25.0)
    assert "| 25 us | - | (<= 2x) |" in list(lines(tmp_path))[2]


def test_what_was_not_measured_has_no_line(tmp_path: Path) -> None:
    kept(tmp_path, "submit")
    assert len(list(lines(tmp_path))) == 2


def test_a_readme_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no place"):
        document("# Measured", tmp_path)
