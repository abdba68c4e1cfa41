"""`python -m bench.plan --requests-per-day N`: what an installation of that size needs, and where it ends first.

From the figures in `bench/results` and assumptions that each have a flag; a simulation of two days in minutes.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from bench.planner import report
from bench.planner.assumptions import Assumptions
from bench.planner.figures import Figures, read
from bench.planner.planning import Plan, plan
from bench.planner.roles import roles
from bench.result import RESULTS, ROOT

DOCUMENT = ROOT / "docs" / "scaling.md"
SIZES = (1e6, 10e6, 100e6)
_GENERATED = re.compile(r"<!-- plan: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
CELL = 5e6
"""Requests a day of one installation among several."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a plan, or write the tables of the document anew."""
    parser = _parser()
    options = parser.parse_args(arguments)
    figures = _overridden(read(options.results), options.measured)
    if options.write is not None:
        options.write.write_text(document(options.write.read_text(), figures, Assumptions()))
        return 0
    try:
        assumed = Assumptions(**{one.name: getattr(options, one.name) for one in fields(Assumptions)})
        found = plan(options.requests_per_day, figures, assumed)
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(report.as_json(found, figures, assumed), indent=2) if options.json else text(found, figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__)
    parser.add_argument("--requests-per-day", type=float, default=SIZES[0], metavar="N", help="default: a million")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the measured figures are")
    parser.add_argument(
        "--measured", action="append", default=[], metavar="NAME=VALUE",
        help="instead of a measured figure: write-us, read-us, read-postgres-us, relay-per-s, fired-per-s, or "
        "microseconds of CPU of a request in a process (workflow-worker=150, postgresql=400); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--write", type=Path, nargs="?", const=DOCUMENT, help="write the tables of docs/scaling.md anew"
    )
    named = parser.add_argument_group("assumptions")
    for one in fields(Assumptions):
        why = f"{one.metadata['why']} (default: {one.default} {one.metadata['unit']})".replace("%", "%%")
        named.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default, help=why)
    return parser


def _overridden(figures: Figures, measured: Sequence[str]) -> Figures:
    for given in measured:
        name, _, value = given.partition("=")
        try:
            figures = figures.with_figure(name, float(value))
        except (KeyError, ValueError):
            raise SystemExit(f"--measured {given}: no such figure, or no number above 0") from None
    return figures


def text(found: Plan, figures: Figures) -> str:
    """A plan for people."""
    lines = [f"{report.per_day(found.demand.per_day)} requests a day", ""]
    lines += [f"{name:50} {value}" for name, value in report.rows(found)]
    lines += ["", "what ends first"]
    lines += [f"  {report.per_day(one.holds_to):>6}  {one.name}: {one.then}" for one in found.ceilings]
    if figures.assumed:
        lines += ["", f"not measured here, assumed: {', '.join(figures.assumed)}"]
    return "\n".join(lines)


def document(existing: str, figures: Figures, assumed: Assumptions) -> str:
    """The document with its tables made anew; the words between them stay. KeyError for a table nobody knows."""
    plans = [plan(size, figures, assumed) for size in SIZES]
    cell = plan(CELL, figures, replace(assumed, postgres_servers=5))
    tables = {
        "sizes": lambda: report.side_by_side(plans),
        "ceilings": lambda: report.of_ceilings(plans[0].ceilings),
        "cell": lambda: report.side_by_side([cell]),
        "cell_ceilings": lambda: report.of_ceilings(cell.ceilings),
        "costs": lambda: report.of_costs(figures),
        "roles": lambda: report.of_roles(list(roles(figures, assumed).values()), figures),
        "growth": lambda: report.of_growth(figures),
        "assumptions": lambda: report.of_assumptions(assumed),
        "sources": lambda: report.of_sources(figures),
    }
    return _GENERATED.sub(lambda at: f"<!-- plan: {at[1]} -->\n\n{tables[at[1]]()}\n\n<!-- end -->", existing)


if __name__ == "__main__":
    raise SystemExit(main())
