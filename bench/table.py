"""`python -m bench.table`: what was measured against each goal, from `bench/results`; `--write` fills the README."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.result import RESULTS

README = RESULTS.parent / "README.md"
_TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = (
    "| goal of the performance page | measured | reference in the same run | ratio (goal) | load | command |",
    "|---|---|---|---|---|---|",
)


class Row(NamedTuple):
    """One goal: where its figures and their references stand in a result, and what is asked of them."""

    goal: str
    name: str
    figures: tuple[str, ...]
    unit: str
    bound: str
    references: tuple[str, ...] = ()


ROWS = (
    Row("1: submit against pgbench's BEGIN / 3 INSERT / COMMIT", "submit", ("rate",), "/s", ">= 1.0x",
        ("pgbench_rate",)),
    Row("2: submit CPU, door + PostgreSQL, against asgi-batch", "submit", ("door_and_postgresql_us",), "us", "<= 1.7x",
        ("asgi_batch_us",)),
    Row("a: accepted at half load, p99", "submit", ("p99_ms_at_half_load",), "ms", "<= 5 ms"),
    Row("4: whole chain, rate against `pipeline_limit.py`", "chain", ("figure",), "/s", ">= 0.6x", ("reference",)),
    Row("4: whole chain, CPU a request", "chain", ("cpu_us",), "us", "<= 1.8x", ("reference_cpu_us",)),
    Row("5: consumer (workflow opening requests), Python / PostgreSQL an event", "consumer",
        ("python_us", "postgresql_us"), "us", "<= 25 / 35 us; together <= 2.5x",
        ("reference_python_us", "reference_postgresql_us")),
    Row("5: a fact that its hearer takes nothing from, Python / PostgreSQL", "consumer",
        ("ignored_python_us", "ignored_postgresql_us"), "us", "named"),
    Row("6: relay, CPU an event", "relay", ("cpu_us",), "us", "<= 2x", ("reference_cpu_us",)),
    Row("6: relay, events a second", "relay", ("rate",), "/s", ">= 50,000/s", ("reference_rate",)),
    Row("7: accepted → notification at 300/s, p50 / p99", "latency", ("at_300.p50_ms", "at_300.p99_ms"), "ms",
        "<= 1.3x / 1.5x", ("reference_at_300.p50_ms", "reference_at_300.p99_ms")),
    Row("7: the same at 1,000/s", "latency", ("at_1000.p50_ms", "at_1000.p99_ms"), "ms",
        "<= 1.3x / 1.5x", ("reference_at_1000.p50_ms", "reference_at_1000.p99_ms")),
    Row("4: CPU a request at 300/s / at 1,000/s", "latency", ("at_300.cpu_us", "at_1000.cpu_us"), "us", "<= 1.1x",
        ("reference_at_300.cpu_us", "reference_at_1000.cpu_us")),
    Row("8: agenda, a million open: p99 late at 500/s", "agenda", ("p99_ms",), "ms", "<= 5 ms", ("reference_p99_ms",)),
    Row("8: the last of a burst of 10,000", "agenda", ("burst_last_ms",), "ms", "<= 1,500 ms",
        ("reference_burst_last_ms",)),
    Row("8: CPU of a breach, timers + PostgreSQL", "agenda", ("cpu_us",), "us", "<= 90 us"),
    Row("8: timers idle / PostgreSQL meanwhile", "agenda",
        ("idle_percent_of_a_core.workflow-timers", "idle_percent_of_a_core.postgresql"), "% of a core", "<= 1 %"),
    Row("g: one request, CPU of door + PostgreSQL against the bare statement", "reads", ("one_cpu_us",), "us",
        "<= 1.4x", ("one_bare_us",)),
    Row("g: a list of 50", "reads", ("list_cpu_us",), "us", "<= 1.4x", ("list_bare_us",)),
    Row("g: the work list", "reads", ("work_cpu_us",), "us", "<= 1.4x", ("work_bare_us",)),
    *(Row(f"h: {what}, CPU with 1M / 5M rows against 10,000", "growth",
          (f"at.1000000.{name}_cpu_us", f"at.5000000.{name}_cpu_us"), "us", "<= 1.3x",
          (f"at.10000.{name}_cpu_us", f"at.10000.{name}_cpu_us"))
      for name, what in (("submit", "submit"), ("work", "work list of a team"), ("mine", "work list of an agent"),
                         ("relay", "relay"), ("agenda", "breach"))),
    Row("i: the largest process after a million records a stream", "memory", ("figure",), "MB", "<= 150 MB"),
    Row("c: all services idle, `--role all`", "idle", ("figure",), "% of a core", "<= 5 %"),
    Row("import of a log", "importing", ("figure",), "changes/s", ">= 546/s"),
)  # fmt: skip


def lines(results: Path = RESULTS) -> Iterator[str]:
    """The table, a line at a time; goals that nothing was measured for are left out."""
    yield from _HEAD
    for row in ROWS:
        kept = results / f"{row.name}.json"
        if kept.exists():
            found = json.loads(kept.read_text())
            if (figures := _values(found, row.figures)) is not None:
                yield _line(row, found, figures)


def _line(row: Row, found: Mapping[str, Any], figures: list[float]) -> str:
    references = _values(found, row.references) if row.references else None
    ratios = [figure / other for figure, other in zip(figures, references or (), strict=False) if other]
    ratio = f"{' / '.join(f'{one:.2g}x' for one in ratios)} ({row.bound})" if ratios else f"({row.bound})"
    load = found["load_average"]
    beside = f"{_said(references)} {row.unit}" if references else "-"
    cells = (row.goal, f"{_said(figures)} {row.unit}", beside, ratio, f"{load['before']:.0f} → {load['after']:.0f}")
    return f"| {' | '.join(cells)} | `python -m bench.{row.name}` |"


def _values(found: Mapping[str, Any], paths: tuple[str, ...]) -> list[float] | None:
    """The figures at some paths of a result's details, or of the result itself; None when one is missing."""
    values = [_at({**found, **found["details"]}, path) for path in paths]
    return [float(value) for value in values if value is not None] if None not in values else None


def _at(found: Any, path: str) -> Any:
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _said(values: list[float]) -> str:
    return " / ".join(f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values)


def document(existing: str, results: Path = RESULTS) -> str:
    """The README with its table made anew; ValueError when it has no place for one."""
    if _TABLE.search(existing) is None:
        raise ValueError("the README has no place for the table")
    text = "\n".join(lines(results))
    return _TABLE.sub(lambda at: f"{at[1]}\n{text}\n\n{at[2]}", existing)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        README.write_text(document(README.read_text()))
    else:
        print("\n".join(lines()))
