"""What a session of chaos prints: the matrix fault by invariant, what failed, and the figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from testkit.chaos.auditor import INVARIANTS
from testkit.chaos.experiment import Result
from testkit.chaos.operations import percentile

Run = Mapping[str, Any]
"""A run as a report has it."""


def told(result: Result) -> str:
    """One experiment in a few lines."""
    if result.skipped:
        return f"{result.fault}: SKIPPED, {result.skipped}"
    if result.undone:
        return f"{result.fault} seed {result.seed}: FAILED, {result.undone}"
    recovered = "NOT IN TIME" if result.recovered is None else f"{result.recovered:.1f} s"
    lines = [
        f"{result.fault} seed {result.seed}: {'FAILED' if result.failed else 'ok'} in {result.seconds:.0f} s; "
        f"{len(result.submits)} accepted, {result.operations}, "
        f"careful callers unanswered {len(result.unanswered)}, recovered {recovered}",
        f"  {result.said}: {result.proof or 'DID NOT STRIKE'}",
        "  ended after: "
        + ", ".join(f"{part} {seconds:.0f} s" for part, seconds in result.ended.items())
        + f"; {result.audited} requests looked at, waited for {result.waited_for or 'nothing'}; "
        f"the load at worst {result.behind:.2f} s behind, {result.slowed:.1f} times as slow as on an empty machine; "
        f"{len(result.late)} breaches, at worst "
        f"{max(result.late, default=0.0):.2f} s late, {max(result.unhindered, default=0.0):.2f} s without a fault in "
        f"the way; {result.mib:.0f} MiB in the largest process",
        f"  while it lasted {len(result.meanwhile)} submissions, p50 {percentile(result.meanwhile, 0.5):.2f} s, "
        f"p99 {percentile(result.meanwhile, 0.99):.2f} s; {result.turned_away} attempts answered 429 or 5xx",
    ]
    lines += [f"  unanswered: {text:.200}" for text in result.unanswered[-2:]]
    lines += [f"  {violation}" for violation in result.violations[:20]]
    if len(result.violations) > 20:
        lines.append(f"  … and {len(result.violations) - 20} more")
    return "\n".join(lines)


def matrix(runs: Sequence[Run]) -> str:
    """Fault by invariant with violations, runs, strikes and recovery, as a Markdown table."""
    lines = [
        f"| fault | runs | struck | accepted | {' | '.join(INVARIANTS)} | recovery p50 / p95 |",
        f"|---|--:|--:|--:|{'--:|' * len(INVARIANTS)}--:|",
    ]
    for name in dict.fromkeys(run["fault"] for run in runs):
        mine = [run for run in runs if run["fault"] == name]
        broken = Counter(violation[0] for run in mine for violation in run["violations"])
        back = sorted(run["recovered"] for run in mine if run["recovered"] is not None)
        struck, accepted = sum(1 for run in mine if run["proof"]), sum(run["accepted"] for run in mine)
        recovery = f"{percentile(back, 0.5):.1f} / {percentile(back, 0.95):.1f} s" if back else "never"
        counts = " | ".join(str(broken[invariant]) for invariant in INVARIANTS)
        lines.append(f"| {name} | {len(mine)} | {struck} | {accepted:,} | {counts} | {recovery} |")
    return "\n".join(lines)


def failed(run: Run) -> bool:
    """Whether something was broken, the fault did not happen, or the run did not."""
    broken = bool(run["violations"]) or bool(run.get("undone"))
    return not run["skipped"] and (broken or not run["proof"] or run["recovered"] is None)


def reasons(run: Run) -> str:
    """Why a run failed, in a line. Pure."""
    if run.get("undone"):
        return str(run["undone"])
    broken = Counter(f"{invariant} {name}" for invariant, name, *_ in run["violations"])
    found = [f"{name} ({times})" for name, times in broken.items()]
    found += ["did not strike"] if not run["proof"] else []
    found += ["did not recover"] if run["recovered"] is None else []
    return ", ".join(found) + f": {run['said']}"


def failures(runs: Sequence[Run]) -> str:
    """Every run that failed, with its seed, its fault and its reason, as a Markdown list; each is in it. Pure."""
    found = [run for run in runs if failed(run)]
    if not found:
        return "None of these runs failed."
    lines = [f"{len(found)} {'run' if len(found) == 1 else 'runs'} failed:", ""]
    lines += [f"- `{run['fault']}`, seed {run['seed']}, at {run['commit']}: {reasons(run)}" for run in found]
    return "\n".join(lines)


def figures(runs: Sequence[Run]) -> str:
    """The sums of many runs in one paragraph; of lateness and of answers, the worst run's."""
    outcomes = ("ok", "refused", "unknown")
    operations = {each: sum(run["operations"].get(each, 0) for run in runs) for each in outcomes}
    facts, duplicates = sum(run["facts"] for run in runs), sum(run["duplicates"] for run in runs)

    def worst(what: str, part: str) -> float:
        return max((run[what][part] for run in runs), default=0.0)

    return (
        f"{len(runs)} runs, {sum(run['accepted'] for run in runs):,} requests accepted; "
        f"{operations['ok']:,} operations ok, {operations['refused']} refused, "
        f"{operations['unknown']} unknown; {facts:,} records "
        f"on the topics, {duplicates} of them repeats ({duplicates / max(1, facts):.2%}); "
        f"{sum(run['late']['n'] for run in runs)} breaches, at worst p50 {worst('late', 'p50'):.2f} s late, "
        f"p99 {worst('late', 'p99'):.2f} s; "
        f"submissions counted from when they were due, at worst: p50 {worst('submits', 'p50') * 1000:.0f} ms, "
        f"p99 {worst('submits', 'p99'):.2f} s; {sum(len(run['violations']) for run in runs)} violations"
    )
