"""The gap-aware cursor: how far a reader of the journal has come, and which numbers it still misses.

A number that is missing belongs to a transaction that is still open or was rolled back. It is dropped only when every
transaction that could fill it has ended: when a snapshot's xmin has reached the xmax of the snapshot that first missed
it. So nothing visible is ever passed, and rows of one request come in order (messaging, section 2.2). Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Cursor:
    """One group's position: everything up to `high` was read but for `holes` (number → xmax when it was missed)."""

    high: int = 0
    holes: dict[int, int] = field(default_factory=dict)

    def advanced(self, seen: Iterable[int], xmin: int, xmax: int) -> "Cursor":
        """The cursor after a poll that asked for every hole and for what lies above `high`, and saw these numbers."""
        found = set(seen)
        high = max(found, default=self.high)
        high = max(high, self.high)
        holes = {n: stamp for n, stamp in self.holes.items() if n not in found and xmin < stamp}
        for n in range(self.high + 1, high):
            if n not in found:
                holes[n] = xmax
        return Cursor(high, holes)


def saved(cursor: Cursor) -> tuple[int, list[int], list[str]]:
    """(high, holes, their stamps) as the cursor's row keeps them."""
    numbers = sorted(cursor.holes)
    return cursor.high, numbers, [str(cursor.holes[n]) for n in numbers]


def loaded(high: int, holes: Sequence[int], stamps: Sequence[str]) -> Cursor:
    """The cursor that `saved` wrote."""
    return Cursor(high, {n: int(stamp) for n, stamp in zip(holes, stamps, strict=True)})
