"""How much the machine holds everybody up: the time in which this process could have run and had to wait for a core."""

from pathlib import Path
from typing import Final, NamedTuple

_SCHEDSTAT: Final = Path("/proc/self/schedstat")


class Turns(NamedTuple):
    """What the kernel has counted of a process so far, in nanoseconds."""

    ran: int
    waited: int


def turns() -> Turns:
    """This process's own, which is no busier than those it watches; nothing where the system does not tell."""
    try:
        ran, waited, _ = _SCHEDSTAT.read_text().split()
        return Turns(int(ran), int(waited))
    except (OSError, ValueError):
        return Turns(0, 0)


def slowed(before: Turns, after: Turns) -> float:
    """How many times as long as on an empty machine everything took in between: 1 when nobody had to wait. Pure."""
    ran = after.ran - before.ran
    return 1.0 + (after.waited - before.waited) / ran if ran > 0 else 1.0
