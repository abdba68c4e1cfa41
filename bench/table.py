"""`python -m bench.table`: what was measured against each goal, from `bench/results`; `--write` fills the README."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.goals import ROWS, Figure, Found, Limit, Row, at
from bench.result import RESULTS

README = RESULTS.parent / "README.md"
_TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = (
    "| of | goal | measured | reference in the same run | ratio | asked | load | command |",
    "|---|---|---|---|---|---|---|---|",
)


def lines(results: Path = RESULTS) -> Iterator[str]:
    """The table, a line at a time; a goal that nothing was measured for says so."""
    yield from _HEAD
    for row in ROWS:
        kept = results / f"{row.name}.json"
        found = json.loads(kept.read_text()) if kept.exists() else {}
        yield f"| {' | '.join(_cells(row, {**found, **found.get('details', {})}))} |"


def _cells(row: Row, found: Found) -> tuple[str, ...]:
    what = row.what if isinstance(row.what, str) else row.what(found)
    figures = values(found, row.figures)
    references = values(found, row.references) if row.references else None
    of_ratio = any(limit.unit == "x" for limit in row.limits)
    if figures is None or (of_ratio and row.references and references is None):
        return row.of, what, "not measured", "-", "-", _asked(row.limits, None, None), "-", "-"
    ratios = [figure / other for figure, other in zip(figures, references or (), strict=False) if other]
    load = found["load_average"]
    return (
        row.of,
        what,
        f"{_said(figures)} {row.unit}",
        f"{_said(references)} {row.unit}" if references else "-",
        " / ".join(f"{ratio:.3g}x" for ratio in ratios) or "-",
        _asked(row.limits, figures, ratios),
        f"{load['before']:.0f} → {load['after']:.0f}",
        f"`python -m bench.{row.name}`",
    )


def values(found: Found, figures: Sequence[Figure]) -> list[float] | None:
    """The figures of a result; None when one is missing."""
    each = [at(found, figure) if isinstance(figure, str) else figure(found) for figure in figures]
    return [float(value) for value in each if value is not None] if None not in each else None


def met(limit: Limit, figures: Sequence[float], ratios: Sequence[float]) -> bool | None:
    """Whether every figure, or ratio, is within its bound; None where there is no ratio to judge by."""
    judged = ratios if limit.unit == "x" else figures
    if len(judged) != len(limit.bounds):
        return None
    pairs = zip(judged, limit.bounds, strict=True)
    return all(value >= bound if limit.at_least else value <= bound for value, bound in pairs)


def _asked(limits: Sequence[Limit], figures: Sequence[float] | None, ratios: Sequence[float] | None) -> str:
    """What each goal asks and what came of it; goals that ask the same are one."""
    told = []
    for limit in limits:
        reached = None if figures is None else met(limit, figures, ratios or ())
        verdict = {True: ": met", False: ": missed", None: ""}[reached]
        unit = {"x": "x", "%": " %"}.get(limit.unit, f" {limit.unit}".replace(" /", "/"))
        bounds = " / ".join(f"{bound:,g}" for bound in limit.bounds)
        told.append(f"{'>=' if limit.at_least else '<='} {bounds}{unit}{verdict}")
    return "; ".join(dict.fromkeys(told)) or "-"


def _said(numbers: Sequence[float]) -> str:
    return " / ".join(f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in numbers)


def document(existing: str, results: Path = RESULTS) -> str:
    """The README with its table made anew; ValueError when it has no place for one."""
    if _TABLE.search(existing) is None:
        raise ValueError("the README has no place for the table")
    text = "\n".join(lines(results))
    return _TABLE.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", existing)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        README.write_text(document(README.read_text()))
    else:
        print("\n".join(lines()))
