"""The record of all runs: reports merged into one file, and the tables of docs/reliability.md made of it.

python -m testkit.chaos.record chaos.json …    # enters the runs of reports, and writes the tables anew
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from testkit.chaos.auditor import INVARIANTS
from testkit.chaos.catalogue import FAULTS, SETS
from testkit.chaos.matrix import percentile

RECORD: Final = Path("docs/chaos.json")
PAGE: Final = Path("docs/reliability.md")
BEGIN, END = "<!-- chaos: made by testkit.chaos.record -->", "<!-- chaos ends -->"
KEPT: Final = (
    "commit", "fault", "seed", "said", "proof", "skipped", "violations", "recovered", "operations", "accepted",
    "facts", "duplicates", "late", "rate", "seconds", "lasts", "took",
)  # fmt: skip
"""What is kept of a run."""

Run = Mapping[str, Any]


def entered(record: Sequence[Run], report: Sequence[Run]) -> list[Run]:
    """The record with the runs of a report; a run is known by its commit, seed and fault. Pure."""
    known = {key_of(run): run for run in record}
    facts = dict[Any, int]()
    duplicates = dict[Any, int]()
    for told in report:
        site = told["seed"]
        run = {**told, "violations": [list(violation) for violation in told["violations"]]}
        if "accepted" not in run:  # as a session writes it: facts, repeats and breaches are those of the site so far
            run["accepted"], run["took"] = len(told["submits"]), told["ended"].get("audit")
            run["facts"] = told["facts"] - facts.get(site, 0)
            run["duplicates"] = told["duplicates"] - duplicates.get(site, 0)
            facts[site], duplicates[site] = told["facts"], told["duplicates"]
            run["late"] = late_of(told["late"])
        known[key_of(run)] = {name: run[name] for name in KEPT}
    order = list(FAULTS)
    return sorted(known.values(), key=lambda run: (order.index(run["fault"]), run["commit"], run["seed"]))


def key_of(run: Run) -> tuple[str, int, str]:
    """What makes a run another one."""
    return run["commit"], run["seed"], run["fault"]


def late_of(ascending: Sequence[float]) -> dict[str, float]:
    """How late the breaches of a site were stated, in a few figures."""
    figures = {f"p{round(part * 100)}": round(percentile(ascending, part), 3) for part in (0.5, 0.99, 1.0)}
    return {"n": len(ascending), **figures}


def page(record: Sequence[Run]) -> str:
    """The tables as Markdown. Pure."""
    done = [run for run in record if not run["skipped"]]
    commits = ", ".join(sorted({run["commit"] for run in done}))
    total = sum(len(run["violations"]) for run in done)
    accepted, operations = sum(run["accepted"] for run in done), sum(sum(run["operations"].values()) for run in done)
    lines = [
        f"{len(done)} runs of {len({run['fault'] for run in done})} of {len(FAULTS)} faults at {commits}: "
        f"{accepted:,} requests accepted, {operations:,} operations, {total} violations.",
        "",
        f"| set | fault | runs | struck | accepted | {' | '.join(INVARIANTS)} | back p50 / p95 | repeats | late p99 |",
        f"|---|---|--:|--:|--:|{'--:|' * len(INVARIANTS)}--:|--:|--:|",
    ]
    lines += [_line(name, [run for run in done if run["fault"] == name]) for name in FAULTS]
    skipped = {run["fault"]: run["skipped"] for run in record if run["skipped"]}
    lines += ["", *(f"Skipped: {name}, {reason}." for name, reason in skipped.items())]
    return "\n".join(lines).rstrip() + "\n"


def _line(name: str, runs: Sequence[Run]) -> str:
    of = next((each for each, names in SETS.items() if each not in ("thin", "quick", "all") and name in names), "")
    if not runs:
        return f"| {of} | `{name}` | 0 | not run |" + " |" * (len(INVARIANTS) + 4)
    back = sorted(run["recovered"] for run in runs if run["recovered"] is not None)
    never = len(runs) - len(back)
    facts, repeats = sum(run["facts"] for run in runs), sum(run["duplicates"] for run in runs)
    broken = Counter(violation[0] for run in runs for violation in run["violations"])
    cells = [
        of,
        f"`{name}`",
        str(len(runs)),
        str(sum(1 for run in runs if run["proof"])),
        f"{sum(run['accepted'] for run in runs):,}",
        *(str(broken[invariant]) for invariant in INVARIANTS),
        f"{percentile(back, 0.5):.1f} / {percentile(back, 0.95):.1f} s" + (f", {never} not in time" if never else ""),
        f"{repeats / max(1, facts):.2%}",
        f"{max(run['late']['p99'] for run in runs):.2f} s",
    ]
    return "| " + " | ".join(cells) + " |"


def written(text: str, tables: str) -> str:
    """A page with its tables replaced. Pure."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables}{END}{after}"


def main(reports: Sequence[str]) -> int:
    """Enter reports, write record and page."""
    record: list[Run] = orjson.loads(RECORD.read_bytes()) if RECORD.exists() else []
    for name in reports:
        record = entered(record, orjson.loads(Path(name).read_bytes()))
    RECORD.write_text("[\n" + ",\n".join(orjson.dumps(run).decode() for run in record) + "\n]\n")
    PAGE.write_text(written(PAGE.read_text(), page(record)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
