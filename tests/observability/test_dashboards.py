"""Dashboards: every panel asks for what is measured somewhere, and can be drawn."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from chassis import telemetry
from cli.observability import dashboards
from contracts.registry import SERVICES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/observability"
PAGES = [json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))]
OWN: list[Any] = [each for each in vars(telemetry).values() if isinstance(each, Counter | Gauge | Histogram)]
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
EXPORTERS = {"kafka_consumergroup_lag", "pg_stat_activity_count", "pg_database_size_bytes"}
UNITS = {"s", "bytes", "short", "percentunit", "reqps", "cps"}
_WORDS = {"by", "or", "and", "unless", "on", "ignoring", "bool", "offset"}


def measured() -> set[str]:
    """Every name that Throughline's own processes answer."""
    return {name for each in OWN for name in _names(each)}


def _names(metric: Any) -> Iterator[str]:
    (found,) = metric.describe()
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(found.type, [""])
    yield from (found.name + suffix for suffix in suffixes)


def recorded() -> set[str]:
    groups = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def asked(query: str) -> set[str]:
    """The metrics that a query names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)", "", query)
    return set(re.findall(r"(?<![\w:.])[a-z_][\w:]*(?![\w:]*\s*\()", bare)) - _WORDS


def test_names_are_found_in_queries() -> None:
    query = 'sum by (a, le) (rate(x_total{b="c_d"}[5m])) / 2 > e:f:g5m{h!~"2.."} or vector(0)'
    assert asked(query) == {"x_total", "e:f:g5m"}
    assert "http_request_seconds_bucket" in measured()
    assert "relay_facts_total" in measured()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["uid"])
def test_every_panel_asks_for_what_is_measured(page: Any) -> None:
    for panel in (each for each in page["panels"] if each["type"] != "row"):
        (target,) = panel["targets"]
        names = asked(target["expr"])
        assert names, panel["title"]
        assert names <= measured() | recorded() | PROCESS | EXPORTERS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]


def test_every_rule_asks_for_what_is_measured() -> None:
    for group in yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert asked(rule["expr"]) <= measured() | recorded() | {"up"}, rule["expr"]


def test_everything_that_is_measured_is_on_some_page() -> None:
    queries = " ".join(target["expr"] for page in PAGES for p in page["panels"] for target in p.get("targets", ()))
    queries += (FOLDER / "slo.yaml").read_text()
    assert [each._name for each in OWN if each._name not in queries] == []


def test_facts_that_pages_name_are_facts_of_their_services() -> None:
    known = set()
    for service in SERVICES:
        for aggregate in import_module(f"{service}.main").SERVICE.aggregates:
            known |= {kind.type for kind in aggregate.codec.kinds}
    named = set(re.findall(r'fact="([^"]+)"', (FOLDER / "dashboards.yaml").read_text()))
    assert named
    assert named <= known


def test_there_is_an_overview_one_page_a_service_and_the_sla() -> None:
    assert {page["uid"] for page in PAGES} == {f"throughline-{each}" for each in (*SERVICES, "overview", "sla")}
    for page in PAGES:
        numbers = [panel["id"] for panel in page["panels"]]
        assert len(set(numbers)) == len(numbers)
        assert "$service" not in json.dumps(page)


def test_panels_of_a_row_stand_side_by_side_and_no_two_overlap() -> None:
    for page in PAGES:
        taken: set[tuple[int, int]] = set()
        for panel in page["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_a_panel_with_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        dashboards.Panel.model_validate({"title": "t", "query": "q", "unit": "s", "colour": "red"})


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", OWN, ids=lambda each: each._name)
def test_a_metrics_name_says_its_unit_and_its_help_what_it_is(metric: Any) -> None:
    (found,) = metric.describe()
    assert found.documentation.endswith(".")
    if found.type != "counter":
        assert found.name.endswith(("_seconds", "_messages", "_in_hand", "_holes", "_open"))
    if re.match(r"(Age|Time|How late)", found.documentation):
        assert found.name.endswith("_seconds")
    allowed = {"route", "method", "status", "aggregate", "gate", "slug", "fact", "topic", "asker", "outcome", "reason"}
    assert set(metric._labelnames) <= allowed
