"""The gap-aware cursor: how far a reader of the journal has come, and which numbers it still misses.

A number that is missing belongs to a transaction that is still open or was rolled back. It is dropped only when every
transaction that could fill it has ended: when a snapshot's xmin has reached the xmax of the snapshot that first missed
it. So nothing visible is ever passed, and rows of one request come in order (messaging, section 2.2). Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

JUMP = 10_000
"""More missing numbers than this in a row are not remembered one by one: the cursor waits before them instead."""
UNSENT = 0
"""The stamp of what was read and not acknowledged: a hole that is certain to appear, so it is never compared."""


@dataclass(slots=True)
class Cursor:
    """One group's position: everything up to `high` was read but for `holes` (number → xmax when it was missed).

    `jump` is the xmax of the snapshot that first saw more than JUMP numbers missing right above `high`.
    """

    high: int = 0
    holes: dict[int, int] = field(default_factory=dict)
    jump: int | None = None

    def advanced(self, seen: Iterable[int], xmin: int, xmax: int) -> "Cursor":
        """The cursor after a poll that asked for every hole and for what lies above `high`, and saw these numbers.

        Rows above the new `high` were not taken: they are beyond a jump and will be seen again.
        """
        found = set(seen)
        holes = {n: stamp for n, stamp in self.holes.items() if n not in found and xmin < stamp}
        high, jump = self.high, self.jump
        for n in sorted(n for n in found if n > self.high):
            if n - high - 1 > JUMP:
                if jump is None or xmin < jump:
                    return Cursor(high, holes, xmax if jump is None else jump)
            else:
                holes.update((missed, xmax) for missed in range(high + 1, n))
            high, jump = n, None
        return Cursor(high, holes, jump)


def saved(cursor: Cursor, unsent: Iterable[int] = ()) -> tuple[int, list[int], list[str]]:
    """(high, holes, their stamps) as the cursor's row keeps them.

    What was read and not acknowledged is kept among the holes, stamped UNSENT.
    """
    stamps = {**dict.fromkeys(unsent, UNSENT), **cursor.holes}
    numbers = sorted(stamps)
    return cursor.high, numbers, [str(stamps[n]) for n in numbers]


def loaded(high: int, holes: Sequence[int], stamps: Sequence[str]) -> Cursor:
    """The cursor that `saved` wrote."""
    return Cursor(high, {n: int(stamp) for n, stamp in zip(holes, stamps, strict=True)})
