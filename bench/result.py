"""What a benchmark found: printed, and kept in `bench/results`."""

import json
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import profiling
from bench.effort import QUICK
from bench.measuring import load_average, machine

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
APART = "every role a process of its own"
TOGETHER = "`--role all`, a process a service"


@dataclass
class Result:
    """One figure, what it was measured against in the same run, and the goal.

    `goal` bounds the ratio to the reference where `of_ratio`, else the figure; from below where `at_least`.
    """

    name: str
    figure: float
    unit: str
    reference: float | None
    goal: float | None
    at_least: bool = False
    of_ratio: bool = True
    rounds: int = 1
    topology: str = APART
    """Which processes there were, and which of them were at work."""
    details: dict[str, Any] = field(default_factory=dict)
    """Everything else that was measured; the medians of the rounds where there are several."""

    @property
    def ratio(self) -> float | None:
        """Figure over reference."""
        return self.figure / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the goal was reached; None where there is none or nothing to measure it by."""
        value = self.ratio if self.of_ratio else self.figure
        if self.goal is None or value is None:
            return None
        return value >= self.goal if self.at_least else value <= self.goal

    def line(self) -> dict[str, Any]:
        """The one line for machines."""
        return {
            "name": self.name,
            "figure": rounded(self.figure),
            "unit": self.unit,
            "reference": rounded(self.reference),
            "ratio": rounded(self.ratio),
            "goal": self.goal,
            "met": self.met,
        }


def rounded(value: Any) -> Any:
    """Floats to four significant digits, in whatever holds them."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def tell(result: Result, load_before: float) -> None:
    """Print what was found, keep it unless the run was quick or profiled, and end with the line for machines."""
    kept = {
        **result.line(),
        "bound": f"{'ratio' if result.of_ratio else 'figure'} {'>=' if result.at_least else '<='} goal",
        "commit": commit(),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average": {"before": round(load_before, 2), "after": round(load_average(), 2)},
        "topology": result.topology,
        "rounds": result.rounds,
        "details": rounded(result.details),
    }
    if not QUICK and profiling.FOLDER is None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{result.name}.json").write_text(json.dumps(kept, indent=2) + "\n")
    print(f"{kept['machine']}; load average {kept['load_average']['before']} before, after {load_average():.2f}")
    for name, value in rounded(result.details).items():
        print(f"  {name}: {json.dumps(value)}")
    print(json.dumps(result.line()), flush=True)


def commit() -> str:
    """The commit that is measured; with a `+` where libs or services differ from it."""

    def git(*arguments: str) -> str:
        told = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return told.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "libs", "services") else "")
