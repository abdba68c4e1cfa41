"""Figures: percentiles, CPU of processes from /proc, arrivals of an open loop, and what the machine is."""

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from bench import profiling

_TICK = os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` (0 to 1) of all values do not exceed; raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -(-round(part * len(ordered) * 1_000_000) // 1_000_000)  # rounded up, free of binary fractions
    return ordered[min(len(ordered), max(1, rank)) - 1]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle; raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """How much the values rise a unit of `at`, by least squares; 0 where there is nothing to see it by."""
    middle, mean = sum(at) / len(at), sum(values) / len(values)
    spread = sum((x - middle) ** 2 for x in at)
    return sum((x - middle) * (y - mean) for x, y in zip(at, values, strict=True)) / spread if spread else 0.0


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each figure of some rounds, figures within figures too; ValueError for no round."""
    if not rounds:
        raise ValueError("no values")
    return {
        name: medians([each[name] for each in rounds])
        if isinstance(first, Mapping)
        else median([each[name] for each in rounds])
        for name, first in rounds[0].items()
    }


def arrivals(rate: float, seconds: float, random: Random) -> Iterator[float]:
    """Moments, from 0 up to `seconds`, at which a Poisson process of `rate` a second has an arrival."""
    at = random.expovariate(rate)
    while at < seconds:
        yield at
        at += random.expovariate(rate)


def parse_stat(text: str) -> tuple[int, int]:
    """The parent of a process and its ticks of CPU, of children that have ended too, from /proc/<pid>/stat."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def tree_ticks(table: Mapping[int, tuple[int, int]], roots: Iterable[int]) -> int:
    """Ticks of the processes `roots` and everything below them; each counted once, what is gone not at all."""
    below: dict[int, list[int]] = {}
    for pid, (parent, _) in table.items():
        below.setdefault(parent, []).append(pid)
    todo, seen = list(roots), set[int]()
    while todo:
        pid = todo.pop()
        if pid in table and pid not in seen:
            seen.add(pid)
            todo += below.get(pid, [])
    return sum(table[pid][1] for pid in seen)


def _table() -> dict[int, tuple[int, int]]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat((entry / "stat").read_text())
            except OSError:
                continue  # it has just ended
    return found


class Meter:
    """CPU seconds by named groups of processes since it was made."""

    def __init__(self, groups: Mapping[str, int]) -> None:
        self._groups = dict(groups)
        self._recording = profiling.Recording(groups) if profiling.FOLDER else None
        self._began = self._ticks()
        self._at = time.perf_counter()

    def _ticks(self) -> dict[str, int]:
        table = _table()
        return {name: tree_ticks(table, [pid]) for name, pid in self._groups.items()}

    def read(self) -> dict[str, float]:
        """CPU seconds of each group up to now."""
        now = self._ticks()
        if self._recording is not None:
            self._recording.stop()
            self._recording = None
        return {name: (now[name] - self._began[name]) / _TICK for name in self._groups}

    @property
    def wall(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._at


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def machine() -> str:
    """Processor, cores and kernel in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    kernel = os.uname()
    return f"{os.cpu_count()} x {model}, {kernel.sysname} {kernel.release}, Python {platform.python_version()}"
