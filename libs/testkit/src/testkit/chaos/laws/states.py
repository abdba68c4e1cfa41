"""I7: what a row holds is what its facts add up to."""

from collections.abc import Iterator
from typing import Any

from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]


def rows_are_folds(evidence: Evidence) -> Iterator[Broken]:
    """Every row of every aggregate in all services equals the fold of its facts in the journal."""
    for name, shelf in evidence.shelves.items():
        for row in shelf.rows:
            if row.state != row.folded:
                yield "row-is-no-fold", f"{name}.{row.aggregate} {row.subject}", difference(row.state, row.folded)


def difference(row: Any, folded: Any) -> str:
    """The first field that differs, with both values."""
    if not isinstance(row, dict) or not isinstance(folded, dict):
        return f"row {row!r:.80}, fold {folded!r:.80}"
    nothing = object()
    names = sorted(name for name in row.keys() | folded.keys() if row.get(name, nothing) != folded.get(name, nothing))
    name = names[0]
    return f"{name}: row {row.get(name, 'nothing')!r:.80}, fold {folded.get(name, 'nothing')!r:.80}"
