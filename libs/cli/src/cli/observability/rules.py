"""Promises to Prometheus rules: what is recorded, and when who is told. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from cli.observability.slo import Fault, Objective, Promises, Told, Window

Rule = dict[str, Any]

_HEAD = "# Generated from slo.yaml by `make docs`; change that file.\n"


def text(promises: Promises) -> str:
    """The rules as Prometheus reads them."""
    groups = [
        {"name": "throughline-faults", "interval": "10s", "rules": list(_faults(promises))},
        *(
            {"name": f"throughline-{each.name}", "interval": "30s", "rules": list(_objective(promises, each))}
            for each in promises.objectives
        ),
    ]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120, allow_unicode=True)


def _faults(promises: Promises) -> Iterator[Rule]:
    for record, value in dict.fromkeys((each.record, each.value) for each in promises.faults):
        yield {"record": record, "expr": value}
    for each in promises.faults:
        yield _alert(promises, each, _beyond(each), each.severity, each.lasting)


def _beyond(fault: Fault) -> str:
    bound = f"{fault.record} > {fault.above:g}" if fault.above is not None else f"{fault.record} < {fault.below:g}"
    return f"{bound} unless {fault.unless}" if fault.unless else bound


def _objective(promises: Promises, each: Objective) -> Iterator[Rule]:
    windows = dict.fromkeys(length for window in promises.windows for length in (window.short, window.long))
    for length in windows:
        yield {"record": _ratio(each, length), "expr": _in(f"({each.bad} or 0 * {each.all}) / {each.all}", length)}
    yield {"record": _budget(each), "expr": f"1 - {_ratio(each, promises.windows[-1].long)} / {_allowed(each):g}"}
    for window in promises.windows:
        yield _alert(promises, each, _burning(promises, each, window), window.severity, None, window=window.long)


def _burning(promises: Promises, each: Objective, window: Window) -> str:
    bound = f"{window.burn * _allowed(each):g}"
    both = " and ".join(f"{_ratio(each, length)} > {bound}" for length in (window.long, window.short))
    return f"{both} and {_in(each.all, window.short)} > {promises.least:g}"


def _allowed(each: Objective) -> float:
    return round(1 - each.objective, 9)


def _ratio(each: Objective, length: str) -> str:
    return f"service:{each.name}_bad:ratio_rate{length}"


def _budget(each: Objective) -> str:
    return f"service:{each.name}_budget:left"


def _in(expression: str, length: str) -> str:
    return expression.replace("$window", length)


def _alert(promises: Promises, told: Told, expr: str, severity: str, lasting: str | None, **labels: str) -> Rule:
    return {
        "alert": told.alert,
        "expr": expr,
        **({"for": lasting} if lasting else {}),
        "labels": {"severity": severity, **labels},
        "annotations": {
            "summary": told.summary,
            "impact": told.impact,
            "runbook_url": f"{promises.runbooks}{told.runbook}.md",
            "dashboard": f"/d/{promises.dashboard}",
        },
    }
