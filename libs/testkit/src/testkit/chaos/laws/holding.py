"""I12: after a run, memory, files, sessions and small tables are what they were before it, give or take a tenth.

Before is when the installation was new, so that what each of its runs leaves behind adds up.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]

_TENTH: Final = 1.1
ENOUGH_KIB: Final = 150 << 10
"""Resident memory that any process may have."""
RUNS: Final = 4
"""After so many runs one can tell a climb from a step."""
STEP: Final = 1.01
"""What a process has more than before, and not by chance."""
_WARM: Final = 1
"""Runs of a process after which its pools are full and its caches filled."""
SPARE_FILES: Final = 16
"""A pool that fills, and connections to brokers that were not needed before."""
SESSIONS_OF_A_PROCESS: Final = 11
"""Its pool, and the direct connections beside it."""
SPARE_BYTES: Final = 2 << 20
"""Dead rows between two rounds of vacuum."""


def nothing_is_kept(evidence: Evidence) -> Iterator[Broken]:
    """Compare the moment before any load and the moment after quiet came back."""
    before, after = evidence.before, evidence.after
    if before is None or after is None:
        return
    for name, held in after.processes.items():
        if held.kib > ENOUGH_KIB:
            yield "memory-over", name, f"{held.kib} KiB, allowed are {ENOUGH_KIB}"
        files = before.processes[name].files if name in before.processes else held.files
        if held.files > files * _TENTH + SPARE_FILES:
            yield "files-left-open", name, f"{files} before, {held.files} after"
    if after.sessions > max(before.sessions * _TENTH, SESSIONS_OF_A_PROCESS * len(after.processes)):
        yield "sessions-left-open", "PostgreSQL", f"{before.sessions} before, {after.sessions} after"
    for name, size in after.tables.items():
        had_bytes = before.tables.get(name, 0)
        if size > had_bytes * _TENTH + SPARE_BYTES:
            yield "table-grew", name, f"{had_bytes} bytes before, {size} after"
    for name, rows in after.left.items():
        if rows:
            yield "not-drained", name, f"{rows} rows"


def memory_is_flat(evidence: Evidence) -> Iterator[Broken]:
    """No process has a hundredth more after each of several runs than after the one before, and a tenth more in all.

    What a process that was started again had before counts no more; nor does its first run, which warms it.
    """
    if evidence.after is None:
        return
    for name, now in evidence.after.processes.items():
        looks = [each.processes[name] for each in evidence.between if name in each.processes]
        same = [each.kib for each in looks if each.pid == now.pid][_WARM:]
        last = [*same, now.kib][-RUNS:]
        climbs = all(later > earlier * STEP for earlier, later in pairwise(last))
        if len(last) == RUNS and climbs and last[-1] > last[0] * _TENTH:
            yield "memory-climbs", name, f"{last} KiB after its last {RUNS} runs"
