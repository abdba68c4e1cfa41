"""The record of all runs: reports merged into one file, and the tables of docs/reliability.md made of it.

python -m testkit.chaos.record chaos.jsonl …          # enters the runs of reports, and writes the tables anew
python -m testkit.chaos.record --anew chaos.jsonl …   # and forgets the runs of other commits than the reports'

Every run counts, the failed ones too: one that is repeated stands beside its repetition.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import orjson

from testkit.chaos.auditor import INVARIANTS
from testkit.chaos.catalogue import FAULTS
from testkit.chaos.experiment import Result, Shape, set_of
from testkit.chaos.laws.recovering import BUSY, bound_of
from testkit.chaos.matrix import Run, failed, failures
from testkit.chaos.operations import percentile

RECORD: Final = Path("docs/chaos.json")
PAGE: Final = Path("docs/reliability.md")
BEGIN, END = "<!-- chaos: made by testkit.chaos.record -->", "<!-- chaos ends -->"
_WORDS: Final = 100
"""Characters that are kept of what a fault said, and of its proof."""
_REASON: Final = 300
"""And of what kept a run from being carried out."""


def run_of(result: Result, shape: Shape, commit: str) -> Run:
    """What is kept of one experiment. Pure."""
    return {
        "commit": commit, "fault": result.fault, "seed": result.seed, "said": result.said[:_WORDS],
        "proof": result.proof[:_WORDS], "skipped": result.skipped, "undone": result.undone[:_REASON],
        "violations": [list(violation) for violation in result.violations],
        "recovered": None if result.recovered is None else round(result.recovered, 2),
        "operations": result.operations, "accepted": len(result.submits), "unanswered": len(result.unanswered),
        "audited": result.audited, "facts": result.facts, "duplicates": result.duplicates,
        "late": figures_of(result.late), "unhindered": figures_of(result.unhindered),
        "submits": figures_of(result.submits), "meanwhile": figures_of(result.meanwhile),
        "turned_away": result.turned_away, "mib": round(result.mib), "slowed": round(result.slowed, 1),
        "rate": shape.rate, "crowd": shape.crowd, "seconds": shape.seconds, "lasts": shape.lasts,
        "took": round(result.seconds, 1), "ended": result.ended,
    }  # fmt: skip


def line(run: Run) -> str:
    """A run as a line of a report."""
    return orjson.dumps(run).decode()


def lines(report: Path | None) -> list[Run]:
    """The runs of a report; none of one that there is not."""
    text = report.read_text() if report is not None and report.exists() else ""
    return [orjson.loads(each) for each in text.splitlines()]


def entered(record: Sequence[Run], report: Sequence[Run]) -> list[Run]:
    """The record with the runs of a report; a report that is entered again adds nothing. Pure.

    A run is known by all that was told of it: none takes the place of another, whatever its seed and its fault.
    """
    known = {line(run): run for run in (*record, *report)}
    order = list(FAULTS)
    return sorted(known.values(), key=lambda run: (order.index(run["fault"]), run["commit"], run["seed"]))


def of_commits(record: Sequence[Run], reports: Iterable[Sequence[Run]]) -> list[Run]:
    """The runs of a record whose commits reports tell of, too. Pure."""
    told = {run["commit"] for report in reports for run in report}
    return [run for run in record if run["commit"] in told]


def figures_of(ascending: Sequence[float]) -> dict[str, float]:
    """Many seconds in a few figures."""
    figures = {f"p{round(part * 100)}": round(percentile(ascending, part), 3) for part in (0.5, 0.99, 1.0)}
    return {"n": len(ascending), **figures}


def page(record: Sequence[Run]) -> str:
    """The tables as Markdown. Pure."""
    done = [run for run in record if not run["skipped"]]
    commits = ", ".join(sorted({run["commit"] for run in done}))
    total = sum(len(run["violations"]) for run in done)
    accepted, operations = sum(run["accepted"] for run in done), sum(sum(run["operations"].values()) for run in done)
    broke = sum(1 for run in done if failed(run))
    lines = [
        f"{len(done)} runs of {len({run['fault'] for run in done})} of {len(FAULTS)} faults at {commits}: "
        f"{accepted:,} requests accepted, {operations:,} operations, {total} violations; failed: {broke}.",
        "",
        f"| set | fault | runs | failed | struck | accepted | {' | '.join(INVARIANTS)} | back p50 / p95 / most; bound "
        "| repeats | late p99 | without the fault |",
        f"|---|---|--:|--:|--:|--:|{'--:|' * len(INVARIANTS)}--:|--:|--:|--:|",
    ]
    lines += [_line(name, [run for run in done if run["fault"] == name]) for name in FAULTS]
    lines += ["", failures(done)]
    skipped = {run["fault"]: run["skipped"] for run in record if run["skipped"]}
    lines += ["", *(f"Skipped: {name}, {reason}." for name, reason in skipped.items())]
    return "\n".join(lines).rstrip() + "\n"


def _line(name: str, runs: Sequence[Run]) -> str:
    of = set_of(name)
    if not runs:
        return f"| {of} | `{name}` | 0 | | not run |" + " |" * (len(INVARIANTS) + 5)
    back = sorted(run["recovered"] for run in runs if run["recovered"] is not None)
    never = len(runs) - len(back)
    apart = [run["unhindered"]["p100"] for run in runs if "unhindered" in run]
    facts, repeats = sum(run["facts"] for run in runs), sum(run["duplicates"] for run in runs)
    broken = Counter(violation[0] for run in runs for violation in run["violations"])
    cells = [
        of,
        f"`{name}`",
        str(len(runs)),
        str(sum(1 for run in runs if failed(run))),
        str(sum(1 for run in runs if run["proof"])),
        f"{sum(run['accepted'] for run in runs):,}",
        *(str(broken[invariant]) for invariant in INVARIANTS),
        f"{' / '.join(f'{percentile(back, part):.1f}' for part in (0.5, 0.95, 1.0))} s"
        + (f", {never} never" if never else "")
        + f"; {bound_of(of).seconds * BUSY:.1f} s",
        f"{repeats / max(1, facts):.2%}",
        f"{max(run['late']['p99'] for run in runs):.2f} s",
        f"{max(apart):.2f} s" if apart else "not told",
    ]
    return "| " + " | ".join(cells) + " |"


def written(text: str, tables: str, begin: str = BEGIN, end: str = END) -> str:
    """A page with its tables replaced. Pure."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{tables}{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """Enter reports, write record and page."""
    parser = argparse.ArgumentParser(prog="python -m testkit.chaos.record", description=__doc__)
    parser.add_argument("reports", nargs="*", type=Path, help="reports that `python -m testkit.chaos` wrote")
    parser.add_argument("--anew", action="store_true", help="forget the runs of other commits")
    options = parser.parse_args(arguments)
    record: list[Run] = orjson.loads(RECORD.read_text()) if RECORD.exists() else []
    reports = [lines(report) for report in options.reports]
    if options.anew:
        record = of_commits(record, reports)
    for report in reports:
        record = entered(record, report)
    RECORD.write_text("[\n" + ",\n".join(line(run) for run in record) + "\n]\n")
    PAGE.write_text(written(PAGE.read_text(), page(record)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
