"""How long a loop rests between two batches that found something.

A batch costs round trips and wake-ups of other processes whatever is in it. Where little arrives nobody notices the
rest; where much arrives, or the machine is short of time, the next batch holds more and each message costs less.
"""

_BEAT = 0.01
"""Seconds from the start of one batch to the start of the next, at least."""
_LONGEST = 0.05


def rest_after(took: float) -> float:
    """Seconds to rest after a batch that took so long: until the next beat, or as long as the batch itself."""
    return min(max(_BEAT - took, took), _LONGEST)
