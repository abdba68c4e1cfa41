"""What a session of chaos prints: the matrix fault by invariant, and the figures."""

import math
from collections.abc import Sequence

from testkit.chaos.auditor import INVARIANTS, by_invariant
from testkit.chaos.experiment import Result


def percentile(ascending: Sequence[float], part: float) -> float:
    """The value below which `part` of all lie; 0 of none."""
    return ascending[min(len(ascending) - 1, math.ceil(part * len(ascending)) - 1)] if ascending else 0.0


def told(result: Result) -> str:
    """One experiment in a few lines."""
    if result.skipped:
        return f"{result.fault}: SKIPPED, {result.skipped}"
    recovered = "NOT IN TIME" if result.recovered is None else f"{result.recovered:.1f} s"
    lines = [
        f"{result.fault} seed {result.seed}: {'FAILED' if result.failed else 'ok'} in {result.seconds:.0f} s; "
        f"{result.operations}, careful callers unanswered {result.unanswered}, recovered {recovered}",
        f"  {result.said}: {result.proof or 'DID NOT STRIKE'}",
        "  ended after: " + ", ".join(f"{part} {seconds:.0f} s" for part, seconds in result.ended.items()),
    ]
    lines += [f"  {violation}" for violation in result.violations[:20]]
    if len(result.violations) > 20:
        lines.append(f"  … and {len(result.violations) - 20} more")
    return "\n".join(lines)


def matrix(results: Sequence[Result]) -> str:
    """Fault by invariant with violations, runs, strikes and recovery, as a Markdown table."""
    lines = [
        f"| fault | runs | struck | {' | '.join(INVARIANTS)} | recovery p50 / p95 |",
        f"|---|--:|--:|{'--:|' * len(INVARIANTS)}--:|",
    ]
    for name in dict.fromkeys(result.fault for result in results):
        mine = [result for result in results if result.fault == name]
        broken = by_invariant([violation for result in mine for violation in result.violations])
        back = sorted(result.recovered for result in mine if result.recovered is not None)
        struck = sum(1 for result in mine if result.proof)
        recovery = f"{percentile(back, 0.5):.1f} / {percentile(back, 0.95):.1f} s" if back else "never"
        counts = " | ".join(str(broken[invariant]) for invariant in INVARIANTS)
        lines.append(f"| {name} | {len(mine)} | {struck} | {counts} | {recovery} |")
    return "\n".join(lines)


def figures(results: Sequence[Result]) -> str:
    """The sums of a session in one paragraph. Facts, duplicates and lateness are those of each site at its end."""
    outcomes = ("ok", "refused", "unknown")
    operations = {each: sum(result.operations.get(each, 0) for result in results) for each in outcomes}
    last = {result.seed: result for result in results}
    facts = sum(result.facts for result in last.values())
    duplicates = sum(result.duplicates for result in last.values())
    took = sorted(each for result in results for each in result.submits)
    late = sorted(each for result in last.values() for each in result.late)
    return (
        f"{len(results)} runs, {operations['ok']} operations ok, {operations['refused']} refused, "
        f"{operations['unknown']} unknown; {facts} records on the topics, {duplicates} of them repeats "
        f"({duplicates / max(1, facts):.2%}); {len(late)} breaches, lateness p50 {percentile(late, 0.5):.2f} s, "
        f"p99 {percentile(late, 0.99):.2f} s, max {percentile(late, 1.0):.2f} s, outages included; "
        f"submissions counted from when they were due: p50 {percentile(took, 0.5) * 1000:.0f} ms, "
        f"p99 {percentile(took, 0.99):.2f} s, max {percentile(took, 1.0):.2f} s; "
        f"{sum(len(result.violations) for result in results)} violations"
    )
