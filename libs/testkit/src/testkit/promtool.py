"""Prometheus's own promtool asked what fires for given samples: the alerts named, and no other."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

Fires = tuple[str, ...]
"""An alert's name, the service it fires for, and the window where it has one."""

_FIRING = 'count by (alertname, service, window) (ALERTS{alertstate="%s"})'
_MISSING = "promtool is not here: apt-get install prometheus"


class Question(NamedTuple):
    """An expression, when it is evaluated, and the label sets that it has then, each with the value 1."""

    expression: str
    at: str
    answers: Iterable[Mapping[str, str]]


def promtool() -> str:
    """Where it is (`make setup` brings it by apt).

    Where it is not, the test is skipped, saying so; it fails where everything must be tested: with `CI` set, or with
    `THROUGHLINE_TEST_PROMTOOL=required`, as in `.ci/run`.
    """
    found = shutil.which("promtool", path=str(Path(sys.executable).parent)) or shutil.which("promtool")
    if found is None:
        if os.environ.get("CI") or os.environ.get("THROUGHLINE_TEST_PROMTOOL") == "required":
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
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
    state: str = "firing",
    **more: Any,
) -> None:
    """At each time of `expected`, these alerts fire (or are pending) and no others; `series` as in promtool's files."""
    questions = [
        Question(_FIRING % state, at, [dict(zip(_NAMES, each, strict=False)) for each in fires])
        for at, fires in expected.items()
    ]
    assert_answers(rules, folder, series, questions, **more)


def assert_answers(
    rules: Path,
    folder: Path,
    series: Mapping[str, str],
    questions: Iterable[Question],
    *,
    interval: str = "15s",
    evaluation: str | None = None,
    **more: Any,
) -> None:
    """Every question has exactly the answers that it names, with these rules and series."""
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": each.expression, "eval_time": each.at, "exp_samples": [_sample(one) for one in each.answers]}
            for each in questions
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


def _sample(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"labels": "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}", "value": 1}


_NAMES = ("alertname", "service", "window")
