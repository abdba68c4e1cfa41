"""Prometheus's own promtool asked what fires for given samples: the alerts named, and no other."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

Fires = tuple[str, ...]
"""An alert's name, the service it fires for, and the window where it has one."""

_FIRING = 'count by (alertname, service, window) (ALERTS{alertstate="%s"})'


def promtool() -> str:
    """Where it is; skips the test, saying so, where it is not (`make setup` brings it by apt)."""
    found = shutil.which("promtool", path=str(Path(sys.executable).parent)) or shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    return found


def run(*arguments: str) -> tuple[int, str]:
    """Its exit status and what it says."""
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def assert_firing(
    rules: Path,
    folder: Path,
    series: Mapping[str, str],
    expected: Mapping[str, Iterable[Fires]],
    *,
    interval: str = "15s",
    evaluation: str | None = None,
    state: str = "firing",
    **more: Any,
) -> None:
    """At each time of `expected`, these alerts fire (or are pending) and no others; `series` as in promtool's files."""
    question = _FIRING % state
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": question, "eval_time": at, "exp_samples": [{"labels": _labels(one), "value": 1} for one in fires]}
            for at, fires in expected.items()
        ],
        **more,
    }
    file = folder / "rules_test.yaml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": [str(rules.absolute())], "evaluation_interval": evaluation or interval, "tests": [test]}
        )
    )
    status, found = run("test", "rules", str(file))
    assert status == 0, found


def _labels(fires: Fires) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in zip(_NAMES, fires, strict=False)) + "}"


_NAMES = ("alertname", "service", "window")
