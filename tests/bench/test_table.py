"""The table of goals says what the results say, of every goal."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench.goals import ROWS, Limit
from bench.table import README, document, lines, met

KEPT = {"figure": 10.0, "reference": 20.0, "load_average": {"before": 1.6, "after": 2.2}}


def kept(folder: Path, name: str, **details: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps({**KEPT, "details": details}))


def line(folder: Path, what: str) -> str:
    (found,) = [each for each in lines(folder) if what in each]
    return found


def test_the_readme_has_the_table_of_the_results_that_are_kept() -> None:
    assert document(README.read_text()) == README.read_text(), "python -m bench.table --write"


def test_every_goal_of_the_page_and_of_the_issue_has_a_row() -> None:
    asked = {limit.of for row in ROWS for limit in row.limits}
    assert asked == {*map(str, range(1, 11)), *"abcdefghi", "import"}


def test_a_goal_is_told_with_its_figure_its_reference_their_ratio_and_whether_it_is_met(tmp_path: Path) -> None:
    kept(tmp_path, "chain", cpu_us=1234.5, reference_cpu_us=500.0)
    rate = "| 4, b | whole chain, rate against `pipeline_limit.py` | 10 /s | 20 /s | 0.5x | >= 0.6x: missed | 2 → 2 |"
    assert line(tmp_path, "whole chain, rate").startswith(rate)
    assert "| 1,234 us | 500 us | 2.47x | <= 1.8x: missed |" in line(tmp_path, "whole chain, CPU a request")


def test_goals_that_ask_different_things_of_one_figure_are_judged_apart(tmp_path: Path) -> None:
    kept(tmp_path, "relay", cpu_us=15.0, reference_cpu_us=10.0)
    assert "| 6, d | relay, CPU an event" in line(tmp_path, "relay, CPU an event")
    assert "| 1.5x | <= 10 us: missed; <= 2x: met |" in line(tmp_path, "relay, CPU an event")


def test_without_a_reference_a_ratio_is_not_judged_and_what_has_no_result_says_so(tmp_path: Path) -> None:
    kept(tmp_path, "submit", door_and_postgresql_us=640.0, p99_ms_at_half_load=5.0)
    assert "| not measured | - | - | <= 1.5x; <= 1.7x | - | - |" in line(tmp_path, "submit CPU")
    assert "| 5 ms | - | - | <= 5 ms: met |" in line(tmp_path, "accepted at half load")
    for what in ("against RT5's create", "durable workflow", "desk's log"):
        assert "| not measured | - | - |" in line(tmp_path, what)


def test_figures_made_of_others_are_of_the_result(tmp_path: Path) -> None:
    idle = {"all": 13.0, "intake": 1.0, "workflow-relay": 0.5, "postgresql": 3.0, "kafka": 5.0}
    kept(tmp_path, "latency", idle_percent_of_a_core=idle)
    kept(tmp_path, "consumer", python_us=50.0)
    assert "| 1.5 % of a core | - | - | - |" in line(tmp_path, "every role a process of its own")
    assert "| 20,000 /s | - | - | >= 20,000/s: met |" in line(tmp_path, "without its database's work")


def test_memory_names_its_processes_its_records_and_whether_it_was_flat(tmp_path: Path) -> None:
    roles = {"intake-relay": {"grew_percent": 1.0}, "billing-worker": {"grew_percent": 10.1}}
    more = {"largest": "intake-relay", "steepest": "billing-worker", "roles": roles}
    kept(tmp_path, "memory", records={"a": 0, "b": 1_010_001}, **more)
    largest, flat = line(tmp_path, "the largest process"), line(tmp_path, "flat:")
    assert "the largest process (intake-relay), 1,010,001 records a stream | 10 MB |" in largest
    assert "(billing-worker), 1,010,001 records a stream | 10.1 % | - | - | <= 10 %: missed |" in flat


@pytest.mark.parametrize(
    ("limit", "figures", "ratios", "expected"),
    [
        (Limit("a", (5.0,), "ms"), [5.0], [], True),
        (Limit("a", (5.0,), "ms"), [5.01], [], False),
        (Limit("a", (5.0,), "/s", at_least=True), [4.99], [], False),
        (Limit("a", (1.3, 1.5)), [9.0, 9.0], [1.3, 1.51], False),
        (Limit("a", (1.3, 1.5)), [9.0, 9.0], [1.3, 1.5], True),
        (Limit("a", (1.3,)), [9.0], [], None),
    ],
)
def test_a_bound_itself_is_met(limit: Limit, figures: list[float], ratios: list[float], expected: bool | None) -> None:
    assert met(limit, figures, ratios) is expected


def test_a_readme_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no place"):
        document("# Measured", tmp_path)
