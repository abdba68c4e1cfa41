"""What a plan stands on: figures as they were measured, and assumptions that each have a name."""

import json
from pathlib import Path
from typing import Any

import pytest
from bench.planner.assumptions import Assumptions
from bench.planner.figures import Read, Usage, processes, read
from bench.result import RESULTS
from hypothesis import given
from hypothesis import strategies as st

COMMON = {"commit": "abc1234", "date": "2026-01-01", "machine": "m", "load_average": {"before": 1.0, "after": 2.0}}

FIGURES = read(RESULTS)


def kept(folder: Path, name: str, figure: float = 1.0, **details: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "figure": figure, **COMMON, "details": details}))


def test_usage_is_a_line_between_what_was_measured_and_proportional_above() -> None:
    usage = Usage(((0.0, 0.01), (300.0, 0.10), (1000.0, 0.24)))
    assert usage.cores(0.0) == 0.01
    assert usage.cores(150.0) == pytest.approx(0.055)
    assert usage.cores(300.0) == 0.10
    assert usage.cores(650.0) == pytest.approx(0.17)
    assert usage.cores(2000.0) == pytest.approx(0.48)
    assert usage.full_us == pytest.approx(240.0)


def test_figures_are_read_as_they_were_measured(tmp_path: Path) -> None:
    kept(tmp_path, "chain", accepted_per_second=800.0, **{"intake-worker_us": 150.0, "intake_us": 400.0})
    kept(
        tmp_path,
        "latency",
        idle_percent_of_a_core={"intake-worker": 2.0},
        at_300={"cpu_us_by_process": {"intake-worker": 300.0}},
        at_1000={"cpu_us_by_process": {"intake-worker": 140.0}},
    )
    kept(tmp_path, "importing", cpu_us_by_process={"intake-worker": 246.3, "intake": 2.0})
    kept(tmp_path, "submit", door_us=416.0)
    kept(tmp_path, "relay", figure=19_250.0)
    kept(tmp_path, "agenda", fired_per_second=3_674.0)
    kept(tmp_path, "reads", one_door_us=140.0, one_cpu_us=200.0, work_door_us=600.0, work_cpu_us=780.0)
    kept(tmp_path, "growth", at={"10000": {"relay_cpu_us": 40.0, "relay_event_us": 9.0}, "50": {"relay_cpu_us": 30.0}})
    figures = read(tmp_path)
    worker = figures.submitting["intake-worker"]
    assert [rate for rate, _ in worker.points] == [0.0, 300.0, 800.0, 1000.0]
    assert [cores for _, cores in worker.points] == pytest.approx([0.02, 0.09, 0.12, 0.14])
    assert figures.submitting["intake-api"].full_us == pytest.approx(400.0)
    assert (figures.change_us["intake-worker"], figures.change_us["intake-api"]) == (246.3, 2.0)
    assert (figures.write_us, figures.relay_per_s, figures.fired_per_s) == (416.0, 19_250.0, 3_674.0)
    assert (figures.one, figures.work_list) == (Read(140.0, 60.0), Read(600.0, 180.0))
    assert figures.growth == {"relay": {10_000: 40.0, 50: 30.0}}
    assert figures.assumed == ()
    assert [source.name for source in figures.sources] == [
        "chain", "latency", "importing", "submit", "relay", "agenda", "reads", "growth",
    ]  # fmt: skip


def test_without_results_everything_is_assumed_and_said(tmp_path: Path) -> None:
    figures = read(tmp_path)
    assert figures.assumed == ("chain", "latency", "importing", "submit", "relay", "agenda", "reads", "growth")
    assert figures.growth == {}
    assert set(figures.submitting) == set(processes())
    assert all(usage.full_us > 0 for usage in figures.submitting.values())


def test_the_recorded_results_have_every_figure() -> None:
    assert FIGURES.assumed == ()
    assert set(FIGURES.submitting) == set(processes())
    doors_that_no_request_passes = {"approvals-api", "billing-api", "notifications-api"}
    assert set(FIGURES.change_us) == set(processes()) - doors_that_no_request_passes


@given(st.floats(0, 5_000), st.floats(0, 5_000))
def test_recorded_usage_never_falls_with_the_rate(some: float, more: float) -> None:
    low, high = sorted((some, more))
    for usage in FIGURES.submitting.values():
        assert usage.cores(low) <= usage.cores(high) + 1e-12


def test_a_measured_figure_can_be_given_instead() -> None:
    figures = FIGURES
    cheaper = figures.with_figure("workflow-worker", 50.0)
    assert cheaper.submitting["workflow-worker"].full_us == pytest.approx(50.0)
    assert cheaper.change_us["workflow-worker"] == 50.0
    assert cheaper.submitting["intake-worker"] == figures.submitting["intake-worker"]
    assert figures.with_figure("relay-per-s", 9.0).relay_per_s == 9.0
    assert figures.with_figure("write-us", 9.0).write_us == 9.0
    assert figures.with_figure("fired-per-s", 9.0).fired_per_s == 9.0
    dearer = figures.with_figure("read-us", 9.0).with_figure("read-postgres-us", 3.0)
    assert dearer.one == dearer.work_list == Read(9.0, 3.0)
    with pytest.raises(KeyError):
        figures.with_figure("workflow-cook", 50.0)
    with pytest.raises(ValueError, match="above 0"):
        figures.with_figure("relay-per-s", 0.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"partitions": 65}, "64 at most"),
        ({"utilisation": 1.1}, "1 at most"),
        ({"utilisation": 0.0}, "above 0"),
        ({"list_share": 1.1}, "list_share is 1 at most"),
        ({"burst": 0.9}, "1 at most, burst at least"),
        ({"postgres_servers": 6}, "one a service"),
        ({"changes_per_request": -1.0}, "not be below 0"),
        ({"changes_per_request": float("nan")}, "not be below 0"),
    ],
)
def test_assumptions_that_cannot_be_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Assumptions(**wrong)


def test_assumptions_at_their_bounds_are_taken() -> None:
    Assumptions(partitions=64, utilisation=1.0, burst=1.0, postgres_servers=5, changes_per_request=0.0)


def test_facts_of_a_life_by_hand() -> None:
    told = Assumptions(changes_per_request=10.0, facts_per_change=1.5, breaches_per_request=0.5).facts_told()
    assert told == {"intake": 1.0, "workflow": 16.5, "approvals": 0.6, "billing": 2.0, "notifications": 8.0}
