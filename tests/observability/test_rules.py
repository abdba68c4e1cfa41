"""Prometheus's rules: current, valid, and fired by what they are for and by nothing else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis import telemetry
from cli.observability import rules, slo
from cli.observability.__main__ import generated, main
from contracts.registry import SERVICES
from testkit.promtool import Question, assert_answers, assert_firing, run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/observability"
RULES = FOLDER / "rules.yaml"
PROMISES = slo.read(FOLDER / "slo.yaml")
GROUPS: dict[str, list[dict[str, Any]]] = {
    group["name"]: group["rules"] for group in yaml.safe_load(RULES.read_text())["groups"]
}
ALERTS = [rule for group in GROUPS.values() for rule in group if "alert" in rule]


def test_what_is_generated_is_current_and_nothing_else_lies_there() -> None:
    files = generated(FOLDER)
    assert [path.name for path, text in files.items() if path.read_text() != text] == []
    assert set((FOLDER / "dashboards").iterdir()) == {path for path in files if path != RULES}


def test_a_dashboard_that_is_described_no_more_goes(tmp_path: Path) -> None:
    for name in ("slo.yaml", "dashboards.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "old.json").write_text("{}")
    assert main(tmp_path) == 0
    assert not (tmp_path / "dashboards" / "old.json").exists()
    assert (tmp_path / "rules.yaml").read_text() == RULES.read_text()


def test_prometheus_takes_rules_and_configuration() -> None:
    assert run("check", "rules", str(RULES))[0] == 0
    assert run("check", "config", str(FOLDER / "prometheus.yml"))[0] == 0


def test_every_service_is_scraped_with_its_name_and_role() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["job_name"] == PROMISES.job
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ports = {"all": "THROUGHLINE_PORT", "relay": "THROUGHLINE_RELAY_PORT"}
    found = {(each["labels"]["service"], each["labels"]["role"], *each["targets"]) for each in job["static_configs"]}
    assert found == {
        (name, role, f"{name}:{compose[name]['environment'][port]}")
        for name in SERVICES
        for role, port in ports.items()
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each["alert"])
def test_every_alert_says_how_urgent_it_is_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    told = alert["annotations"]
    assert told["summary"]
    assert told["impact"]
    runbook = ROOT / told["runbook_url"]
    assert runbook.is_file(), told["runbook_url"]
    assert alert["alert"] in runbook.read_text(), "the runbook does not name its alert"
    assert runbook.name in (runbook.parent / "README.md").read_text()


def test_bounds_of_latency_are_bounds_of_the_buckets() -> None:
    assert 'le="0.25"' in next(each.bad for each in PROMISES.objectives if each.name == "api_latency")
    assert 0.25 in telemetry.HTTP_REQUEST_SECONDS._upper_bounds


@pytest.mark.parametrize("bound", [{}, {"above": 1, "below": 1}])
def test_a_fault_has_one_bound(bound: dict[str, int]) -> None:
    said = PROMISES.faults[0].model_dump(by_alias=True, exclude={"above", "below"})
    with pytest.raises(ValueError, match="either above or below"):
        slo.Fault.model_validate({**said, **bound})


def test_what_is_misspelt_in_the_promises_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slo.yaml"
    path.write_text((FOLDER / "slo.yaml").read_text().replace("severity: ticket\n", "severty: ticket\n", 1))
    with pytest.raises(ValueError, match="severty"):
        slo.read(path)


# -- faults: at the bound nothing, beyond it pending, then this alert alone ----------------------------------------

GAUGES = {
    "RelayStuck": ("relay_oldest_unsent_seconds", "20", "21"),
    "ConsumerLagging": ("stream_lag_seconds", "30", "31"),
    "ConsumerDeaf": ("stream_last_poll_seconds", "15", "16"),
    "RequestsWaiting": ("waiting_oldest_seconds", "120", "121"),
    "TimersStopped": ("agenda_overdue_seconds", "10", "11"),
    "DeadLetters": ("dead_letters_open", "0", "1"),
    "ClockWrong": ("clock_skew_seconds", "2", "3"),
    "ProcessDown": ("up", "1", "0"),
}
QUIET = {
    f'{name}{{job="throughline",service="{service}",role="all",instance="{service}:8000"}}': f"{well}x100"
    for name, well, _ in GAUGES.values()
    for service in ("intake", "billing")
}


def test_every_fault_is_tried() -> None:
    assert {each.alert for each in PROMISES.faults} == {*GAUGES, "TimersLate", "RefusalsRising"}


def test_at_their_bounds_nothing_fires(tmp_path: Path) -> None:
    assert_firing(RULES, tmp_path, QUIET, {"20m": []})
    assert_firing(RULES, tmp_path, QUIET, {"20m": []}, state="pending")


@pytest.mark.parametrize("alert", GAUGES)
def test_beyond_its_bound_for_its_time_it_fires_for_that_service_and_nothing_else_does(
    alert: str, tmp_path: Path
) -> None:
    name, well, bad = GAUGES[alert]
    place = f'{name}{{job="throughline",service="intake",role="all",instance="intake:8000"}}'
    series = {**QUIET, place: f"{well}x19 {bad}x20 {well}x20"}
    fires = [(alert, "intake")]
    assert_firing(RULES, tmp_path, series, {"4m45s": [], "5m": fires}, state="pending")
    assert_firing(RULES, tmp_path, series, {"5m": [], "7m": fires, "14m": []})


def test_whoever_is_told_reads_which_service_and_since_when(tmp_path: Path) -> None:
    place = 'relay_oldest_unsent_seconds{service="intake"}'
    told = {
        "summary": "facts of intake have not been published for 1m 30s",
        "impact": "Other services and systems do not hear of what happens there. Nothing is lost.",
        "runbook_url": "docs/runbooks/relay-stuck.md",
        "dashboard": "/d/throughline-overview",
    }
    expected = {"exp_labels": {"severity": "page", "service": "intake"}, "exp_annotations": told}
    said = [{"eval_time": "5m", "alertname": "RelayStuck", "exp_alerts": [expected]}]
    assert_firing(RULES, tmp_path, {place: "90x40"}, {}, alert_rule_test=said)


@pytest.mark.parametrize(
    ("skew", "told"),
    [
        (2, []),
        (-2, []),
        (3, ["ticket"]),
        (-3, ["ticket"]),
        (30, ["ticket"]),
        (31, ["page", "ticket"]),
        (-31, ["page", "ticket"]),
    ],
)
def test_a_clock_that_is_wrong_either_way_is_a_ticket_and_beyond_half_a_minute_a_page(
    skew: int, told: list[str], tmp_path: Path
) -> None:
    place = 'clock_skew_seconds{service="%s",role="api",instance="%s:8000"}'
    series = {place % ("intake", "a"): f"{skew}x40", place % ("intake", "b"): "0x40"}
    labels = {"alertname": "ClockWrong", "service": "intake", "role": "api", "instance": "a:8000"}
    firing = 'count without (__name__, alertstate) (ALERTS{alertstate="firing"})'
    expected = [{**labels, "severity": severity} for severity in told]
    assert_answers(RULES, tmp_path, series, [Question(firing, "8m", expected)])


def test_what_two_alerts_look_at_is_recorded_once() -> None:
    records = [rule["record"] for rule in GROUPS["throughline-faults"] if "record" in rule]
    assert "instance:clock_skew_seconds:abs" in records
    assert len(set(records)) == len(records)


@pytest.mark.parametrize(("late", "fires"), [(2, []), (4, [("TimersLate", "workflow")])])
def test_timers_are_late_when_more_than_one_in_a_hundred_is(late: int, fires: Any, tmp_path: Path) -> None:
    place = 'agenda_lateness_seconds_bucket{service="workflow",aggregate="requests",le="%s"}'
    within = {"5.0": 300 - late, "15.0": 300, "60.0": 300, "300.0": 300, "+Inf": 300}
    series = {place % le: f"0+{count}x60" for le, count in within.items()}
    assert_firing(RULES, tmp_path, series, {"12m": fires})


@pytest.mark.parametrize(
    ("refused", "messages", "fires"),
    [("0+3", "0+15", []), ("0+4", "0+15", [("RefusalsRising", "intake")]), ("0+1", "0+1.4", [])],
)
def test_refusals_rise_above_a_fifth_of_what_is_asked_if_anything_much_is(
    refused: str, messages: str, fires: Any, tmp_path: Path
) -> None:
    series = {
        'decider_refusals_total{service="intake",aggregate="submissions",slug="no-queue"}': f"{refused}x200",
        'decider_batch_messages_sum{service="intake",aggregate="submissions"}': f"{messages}x200",
        'decider_batch_messages_sum{service="billing",aggregate="accounts"}': "0+15x200",
    }
    assert_firing(RULES, tmp_path, series, {"30m": fires})


# -- objectives: budgets that burn ---------------------------------------------------------------------------------

DAYS, STEP = 3 * 24 * 60, 5
"""In minutes."""
AVAILABILITY = {
    'http_request_seconds_count{service="intake",status="201"}': lambda good, _: good,
    'http_request_seconds_count{service="intake",status="503"}': lambda _, bad: bad,
    'http_request_seconds_bucket{service="intake",status="201",le="0.25"}': lambda good, _: good,
    'http_request_seconds_bucket{service="intake",status="503",le="0.25"}': lambda _, bad: bad,
}
LATENCY = {
    'http_request_seconds_count{service="intake",status="201"}': lambda good, bad: good + bad,
    'http_request_seconds_bucket{service="intake",status="201",le="0.25"}': lambda good, _: good,
}
BURNS = [
    ("a fifteenth of the month's budget in an hour", 60, 16.0, ["1h"]),
    ("fast, but not fast enough to page", 60, 5.0, []),
    ("for six hours", 360, 8.0, ["6h"]),
    ("a little all the time", DAYS, 1.2, ["3d"]),
    ("as much as is allowed", DAYS, 0.98, []),
]


def burnt(kind: dict[str, Any], before: int, minutes: int, allowed: float, calls: float = 3000.0) -> dict[str, str]:
    """Series with a sample in five minutes: first all is well, then so long a part of the calls is bad, then well."""
    before, minutes = before // STEP, minutes // STEP
    series = {}
    for name, share in kind.items():
        well, ill = share(calls, 0.0), share(calls * (1 - allowed), calls * allowed)
        first, second = before * well, before * well + minutes * ill
        series[name] = f"0+{well}x{before} {first + ill}+{ill}x{minutes - 1} {second + well}+{well}x12"
    return series


@pytest.mark.parametrize(
    ("alert", "kind", "allowed"), [("ApiFailing", AVAILABILITY, 0.001), ("ApiSlow", LATENCY, 0.01)]
)
@pytest.mark.parametrize(("_", "minutes", "burn", "windows"), BURNS, ids=[name for name, *_ in BURNS])
def test_a_budget_that_burns(
    alert: str, kind: Any, allowed: float, _: str, minutes: int, burn: float, windows: list[str], tmp_path: Path
) -> None:
    before = max(DAYS - minutes, 30)
    series = burnt(kind, before, minutes, allowed * burn)
    fires = [(alert, "intake", window) for window in windows]
    expected = {f"{before + minutes}m": fires}
    if windows == ["1h"]:
        expected[f"{before + minutes + 30}m"] = []
    assert_firing(RULES, tmp_path, series, expected, interval="5m", evaluation="30m")


def test_a_failure_at_night_when_nobody_calls_wakes_nobody(tmp_path: Path) -> None:
    series = burnt(AVAILABILITY, 60, 60, 0.5, calls=25.0)
    assert_firing(RULES, tmp_path, series, {"90m": []}, interval="5m", evaluation="30m")


def test_the_rules_follow_the_promises() -> None:
    tighter = PROMISES.model_copy(update={"faults": (PROMISES.faults[0].model_copy(update={"above": 7.0}),)})
    assert "service:relay_oldest_unsent_seconds:max > 7" in rules.text(tighter)
