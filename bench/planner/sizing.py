"""How many processes of each role a day needs, and what that day then looks like: queues, lag, cores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bench.planner.assumptions import Assumptions
from bench.planner.day import MINUTES, PEAK_AT, Served, arrivals, curve, drained_after, serve
from bench.planner.figures import Figures
from bench.planner.roles import ALONE, FLOW, LONGEST_WAY, Role, roles

PARTITIONS = (12, 24, 48, 64)
"""Choices with many divisors, and the most there can be."""


@dataclass(frozen=True)
class Demand:
    """What a day asks for, in operations a second."""

    per_day: float
    """Requests."""
    assumed: Assumptions

    @property
    def mean(self) -> float:
        """Over a day without a burst."""
        return self.per_day * self.assumed.operations_per_request / MINUTES / 60

    @property
    def busiest(self) -> float:
        """The busiest minute of an ordinary day."""
        return self.mean * self.assumed.peak_factor

    @property
    def burst(self) -> float:
        """The busiest minute of all."""
        return self.busiest * self.assumed.burst

    @cached_property
    def by_minute(self) -> tuple[float, ...]:
        """Operations in each minute of two days."""
        assumed = self.assumed
        operations = self.per_day * assumed.operations_per_request
        return tuple(arrivals(operations, assumed.peak_factor, assumed.burst, assumed.burst_minutes))


def demand(per_day: float, assumed: Assumptions) -> Demand:
    """The day of so many requests. ValueError for none or fewer, and for a curve that cannot be."""
    if not per_day > 0:
        raise ValueError("there must be requests")
    curve(assumed.peak_factor)
    return Demand(per_day, assumed)


@dataclass(frozen=True)
class Fleet:
    """Processes of each role, and the partitions that workers share."""

    pods: Mapping[str, int]
    partitions: int
    per_s: Mapping[str, float]
    """Operations a second that all processes of a role do together."""
    short: tuple[str, ...]
    """Roles that cannot be made big enough."""


def fleet(wanted: Demand, figures: Figures, assumed: Assumptions) -> Fleet:
    """The smallest number of processes that carries the busiest minute at the wished utilisation and a burst within
    the lag allowed; doors, where callers wait, carry the burst at once. Sized as if all arrived at once everywhere.
    """
    all_roles = roles(figures, assumed)
    partitions = assumed.partitions or _partitions(wanted, all_roles, assumed)
    pods, per_s, short = {}, {}, []
    for name, role in all_roles.items():
        most = _most(role, partitions, assumed)
        need = next_enough(role, wanted, partitions, most, assumed)
        pods[name] = max(min(need or most, most), assumed.least_pods)
        per_s[name] = together(role, pods[name], partitions)
        if need is None:
            short.append(name)
    return Fleet(pods, partitions, per_s, tuple(short))


def _most(role: Role, partitions: int, assumed: Assumptions) -> int:
    return {"worker": partitions, ALONE: 1, "timers": assumed.sweepers}.get(role.kind, 100_000)


def together(role: Role, pods: int, partitions: int) -> float:
    """Operations a second of so many processes; of workers the one with the most partitions decides, of relays one."""
    if role.kind == ALONE:
        return role.per_s
    if role.kind == "worker":
        return role.per_s * partitions / math.ceil(partitions / min(pods, partitions))
    return role.per_s * pods


def next_enough(role: Role, wanted: Demand, partitions: int, most: int, assumed: Assumptions) -> int | None:
    """The smallest number of processes that is enough, or None where `most` are not."""

    def enough(pods: int) -> bool:
        return carries(role, together(role, pods, partitions), wanted, assumed)

    if not enough(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def carries(role: Role, per_s: float, wanted: Demand, assumed: Assumptions) -> bool:
    """Whether a capacity is enough for a role."""
    if math.isinf(per_s):
        return True
    if wanted.busiest > per_s * assumed.utilisation:
        return False
    if role.kind == "api":
        return wanted.burst <= per_s
    return wanted.burst <= per_s or serve(wanted.by_minute, per_s).worst_seconds <= assumed.lag_seconds


def _partitions(wanted: Demand, all_roles: Mapping[str, Role], assumed: Assumptions) -> int:
    """The least choice with twice the partitions that the busiest workers need today."""
    workers = [role for role in all_roles.values() if role.kind == "worker"]
    need = max(wanted.busiest * assumed.skew / (role.per_s * assumed.utilisation) for role in workers)
    return next((choice for choice in PARTITIONS if choice >= 2 * need), PARTITIONS[-1])


@dataclass(frozen=True)
class Flow:
    """The queues of a day behind the doors."""

    queues: Mapping[str, Served]
    worst_lag_seconds: float
    """From a door to the last end of the chain, for what came in the worst minute; beside the milliseconds of a quiet
    chain."""
    drained_minutes: int | None
    """From the end of the burst until nothing waits; None when two days are too short."""


def flow(wanted: Demand, ready: Fleet, burst_minutes: int) -> Flow:
    """Let the day run through the chain: what one role has done arrives at the next."""
    queues: dict[str, Served] = {}
    for name, before in FLOW:
        arriving = wanted.by_minute if before is None else queues[before].done
        queues[name] = serve(arriving, min(ready.per_s[name], 1e12))
    worst = max(
        sum(queues[name].seconds(minute) for name in way) for way in LONGEST_WAY for minute in range(2 * MINUTES)
    )
    return Flow(queues, worst, drained_after(list(queues.values()), PEAK_AT + burst_minutes))


def busy_cores(rate: float, ready: Fleet, figures: Figures, assumed: Assumptions) -> float:
    """Cores that all processes together are busy with at so many operations a second; of relays one works."""
    total = 0.0
    for name, role in roles(figures, assumed).items():
        pods = ready.pods[name]
        total += role.cores(rate) if role.kind == ALONE else pods * role.cores(rate / pods)
    return total
