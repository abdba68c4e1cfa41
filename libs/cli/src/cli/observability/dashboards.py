"""Grafana dashboards from a short description: rows of panels, each with its query, unit and legend.

A dashboard that says `each: service` is made once for every service, with `$service` for its name.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from contracts.registry import SERVICES

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS, _HEIGHT = 24, 8


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Panel(_Strict):
    """One question and its answer over time, or now (`stat`)."""

    title: str
    query: str
    unit: str
    legend: str = "{{service}}"
    kind: Literal["timeseries", "stat"] = "timeseries"
    bound: float | None = None
    """Where an alert fires, or a promise ends: drawn as a line."""


class Row(_Strict):
    """Panels side by side."""

    title: str
    panels: tuple[Panel, ...]


class Dashboard(_Strict):
    """One page, or with `each` one a service."""

    uid: str
    title: str
    each: Literal["service"] | None = None
    rows: tuple[Row, ...]


def read(path: Path) -> list[dict[str, Any]]:
    """The dashboards that a description gives, as Grafana takes them. Raises ValidationError."""
    return [
        dashboard(Dashboard.model_validate(each))
        for said in yaml.safe_load(path.read_text(encoding="utf-8"))
        for each in (_for_services(said) if said.get("each") == "service" else [said])
    ]


def text(page: dict[str, Any]) -> str:
    """A dashboard as a file: a line a panel, so that a change is seen."""
    head = [f"{json.dumps(name)}: {_line(value)}" for name, value in page.items() if name != "panels"]
    panels = ",\n  ".join(_line(each) for each in page["panels"])
    return "{\n" + "".join(f"{line},\n" for line in head) + f'"panels": [\n  {panels}\n]\n}}\n'


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _for_services(said: Any) -> Iterator[Any]:
    for service in SERVICES:
        yield json.loads(json.dumps(said).replace("$service", service))


def dashboard(page: Dashboard) -> dict[str, Any]:
    """One dashboard: rows from the top, panels of a row equally wide."""
    return {
        "uid": page.uid,
        "title": page.title,
        "tags": ["throughline"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}]
        },
        "links": [{"type": "dashboards", "title": "Throughline", "tags": ["throughline"], "asDropdown": True}],
        "panels": list(_panels(page.rows)),
    }


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row in rows:
        yield {"id": number, "type": "row", "title": row.title, "gridPos": _place(0, top, _COLUMNS, 1), "panels": []}
        width = _COLUMNS // len(row.panels)
        for n, each in enumerate(row.panels):
            yield _panel(number + n + 1, each, _place(n * width, top + 1, width, _HEIGHT))
        number, top = number + len(row.panels) + 1, top + 1 + _HEIGHT


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bound is not None:
        steps.append({"color": "red", "value": panel.bound})
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        line = {"mode": "line" if panel.bound is not None else "off"}
        defaults |= {"min": 0, "custom": {"fillOpacity": 10, "thresholdsStyle": line}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": panel.query, "legendFormat": panel.legend}],
    }
