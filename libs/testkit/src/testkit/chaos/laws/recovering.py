"""I11: how long an installation may take to recover, fault by fault; and that it did not take longer."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

Broken = tuple[str, str, str]

BUSY: Final = 1.5
"""Allowance for two cores that carry servers, 21 processes, those who ask and the harness."""
GIVEN_UP_AFTER: Final = 180.0
"""Seconds after which nobody waits for it any more."""


class Bound(NamedTuple):
    """Seconds on a machine that has nothing else to do, from the heal on; and why so many."""

    seconds: float
    why: str


USUAL: Final = Bound(30.0, "a member that is gone is missed when its session of 20 s ends; 10 s for all the rest")
"""Of whatever has no figure of its own: no fault leaves anything behind that takes longer to be noticed."""
BOUNDS: Final[Mapping[str, Bound]] = {
    "F1": USUAL,
    "F4": Bound(30.0, "no lag 30 s after Kafka is back"),
    "F6": Bound(15.0, "15 s after PostgreSQL is up"),
    "F17": Bound(10.0, "a rebalance takes less than 10 s"),
}
"""By sets of faults."""


def bound_of(kind: str) -> Bound:
    """The bound of a set of faults."""
    return BOUNDS.get(kind, USUAL)


def in_time(fault: str, kind: str, seconds: float | None, slowed: float) -> Iterator[Broken]:
    """The installation recovered from a fault of that set within its bound; `seconds` None: it was given up.

    `slowed` is how many times as long as on an empty machine everything took meanwhile: more than the allowance where
    others want the cores as well.
    """
    bound = bound_of(kind)
    most = min(bound.seconds * max(BUSY, slowed), GIVEN_UP_AFTER)
    if seconds is None:
        yield "not-recovered", fault, f"nobody waited longer than {GIVEN_UP_AFTER:.0f} s; allowed are {most:.1f} s"
    elif seconds > most:
        why = f"{bound.seconds:.0f} s, on this machine {max(BUSY, slowed):.1f} times as long; {bound.why}"
        yield "recovered-late", fault, f"after {seconds:.1f} s, allowed are {most:.1f} s: {why}"
