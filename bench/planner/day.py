"""A day in minutes: when work arrives, how it queues before a role, and how a burst drains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MINUTES = 24 * 60
PEAK_AT = 11 * 60
"""The minute of the day in which most arrives."""


@lru_cache(maxsize=64)
def curve(peak_factor: float) -> tuple[float, ...]:
    """What each minute of a day gets over the day's mean: 1 on average, `peak_factor` at PEAK_AT, one hill.

    A power of a cosine above a floor; the lowest power that needs no floor below zero. ValueError below 1 or above 12.
    """
    if not 1.0 <= peak_factor <= 12.0:
        raise ValueError("the peak factor is between 1 and 12")
    power = next(power for power in range(1, 100) if peak_factor * _mean(power) <= 1)
    hill = [((1 + math.cos(2 * math.pi * (minute - PEAK_AT) / MINUTES)) / 2) ** power for minute in range(MINUTES)]
    floor = (1 - peak_factor * _mean(power)) / (1 - _mean(power))
    return tuple(floor + (peak_factor - floor) * height for height in hill)


def _mean(power: int) -> float:
    """Of a cosine's hill between 0 and 1, raised to a power."""
    return math.comb(2 * power, power) / float(4**power)


def arrivals(per_day: float, peak_factor: float, burst: float, burst_minutes: int) -> list[float]:
    """What arrives in each minute of two days: the first with a burst that begins at its peak, the second without."""
    ordinary = [per_day / MINUTES * weight for weight in curve(peak_factor)]
    first = list(ordinary)
    for minute in range(PEAK_AT, min(PEAK_AT + burst_minutes, MINUTES)):
        first[minute] *= burst
    return first + ordinary


@dataclass(frozen=True)
class Served:
    """What became of the arrivals of one role, minute by minute."""

    done: tuple[float, ...]
    waiting: tuple[float, ...]
    """At the end of each minute."""
    per_minute: float
    """Capacity."""

    @property
    def worst_seconds(self) -> float:
        """How long the last in the longest queue waited."""
        return max(self.waiting) / self.per_minute * 60

    def seconds(self, minute: int) -> float:
        """How long what came last in a minute waits."""
        return self.waiting[minute] / self.per_minute * 60


def serve(arriving: Sequence[float], per_second: float) -> Served:
    """First come, first served, by a role that does so many a second. What is not done in a minute waits."""
    capacity, waiting = per_second * 60, 0.0
    done, left = [], []
    for some in arriving:
        waiting += some
        taken = min(waiting, capacity)
        waiting -= taken
        done.append(taken)
        left.append(waiting)
    return Served(tuple(done), tuple(left), capacity)


def drained_after(queues: Sequence[Served], minute: int) -> int | None:
    """Minutes from the beginning of `minute` until nothing waits (less than a thousandth of a minute's work); None when
    the days end before.
    """
    for at in range(minute - 1, len(queues[0].waiting)):
        if all(queue.waiting[at] <= queue.per_minute / 1000 for queue in queues):
            return at - minute + 1
    return None
