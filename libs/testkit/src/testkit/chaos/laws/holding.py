"""I12: after a run, memory, files, sessions and small tables are what they were before it, give or take a tenth."""

from collections.abc import Iterator
from typing import Final

from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]

_TENTH: Final = 1.1
ENOUGH_KIB: Final = 150 << 10
"""Resident memory that any process may have, whatever it had before."""
SPARE_FILES: Final = 16
"""A pool that fills, and connections to brokers that were not needed before."""
SESSIONS_OF_A_PROCESS: Final = 11
"""Its pool, and the direct connections beside it."""
SPARE_BYTES: Final = 2 << 20
"""Dead rows between two rounds of vacuum."""


def nothing_is_kept(evidence: Evidence) -> Iterator[Broken]:
    """Compare the moments before the load and after quiet came back."""
    before, after = evidence.before, evidence.after
    if before is None or after is None:
        return
    for name, held in after.processes.items():
        had = before.processes.get(name)
        kib, files = (had.kib, had.files) if had else (0, 0)
        if held.kib > max(ENOUGH_KIB, kib * _TENTH):
            yield "memory-grew", name, f"{kib} KiB before, {held.kib} after"
        if had and held.files > files * _TENTH + SPARE_FILES:
            yield "files-left-open", name, f"{files} before, {held.files} after"
    if after.sessions > max(before.sessions * _TENTH, SESSIONS_OF_A_PROCESS * len(after.processes)):
        yield "sessions-left-open", "PostgreSQL", f"{before.sessions} before, {after.sessions} after"
    for name, size in after.tables.items():
        had_bytes = before.tables.get(name, 0)
        if size > had_bytes * _TENTH + SPARE_BYTES:
            yield "table-grew", name, f"{had_bytes} bytes before, {size} after"
