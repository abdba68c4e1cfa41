"""What was measured: CPU of each process at several rates, read from `bench/results`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from contracts.registry import SERVICES

KINDS = ("api", "worker", "relay", "timers")
SERVERS = ("postgresql", "kafka")
_WITHOUT_RESULTS = {"api": 400.0, "worker": 200.0, "relay": 150.0, "timers": 10.0, "postgresql": 600.0, "kafka": 300.0}
"""Microseconds of CPU a request that are assumed of a process whose result is not there."""


@dataclass(frozen=True)
class Usage:
    """Cores that one process is busy with at a rate of requests; a straight line between what was measured.

    Never falls with the rate. Above the highest measured rate a request costs what it cost there; batches grow with the
    rate, so that this is an upper bound.
    """

    points: tuple[tuple[float, float], ...]
    """(requests/s, cores), by rate; the first at rate 0, the last above 0."""
    measured: bool = True

    def cores(self, rate: float) -> float:
        """Cores at so many requests a second."""
        for (low, some), (high, more) in pairwise(self.points):
            if rate <= high:
                return some + (more - some) * (rate - low) / (high - low)
        high, most = self.points[-1]
        return most * rate / high

    @property
    def full_us(self) -> float:
        """Microseconds of CPU a request at the highest measured rate."""
        rate, cores = self.points[-1]
        return cores / rate * 1e6


@dataclass(frozen=True)
class Read:
    """Microseconds of CPU of a read: in the door that is asked, and in PostgreSQL."""

    door_us: float
    postgres_us: float


_READ_WITHOUT_RESULTS = Read(400.0, 60.0)


@dataclass(frozen=True)
class Source:
    """Where figures come from."""

    name: str
    commit: str
    date: str
    machine: str
    load: str


@dataclass(frozen=True)
class Figures:
    """Everything measured that the plan uses."""

    submitting: Mapping[str, Usage]
    """CPU of each process (`intake-worker`, `intake-api`, `postgresql`) by submitted requests a second."""
    change_us: Mapping[str, float]
    """CPU of each process for one change of a request that came by topic."""
    write_us: float
    """CPU of a door for one write over HTTP."""
    relay_per_s: float
    """Facts that one relay publishes a second out of a full journal."""
    fired_per_s: float
    """Timers that one process fires a second."""
    one: Read = _READ_WITHOUT_RESULTS
    """One request, by its id."""
    work_list: Read = _READ_WITHOUT_RESULTS
    """A page of 50 of the work list."""
    growth: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """CPU of an operation by the rows in its tables, servers included."""
    sources: tuple[Source, ...] = ()
    assumed: tuple[str, ...] = field(default=())
    """Results that are not there; what they would say is assumed."""

    def with_figure(self, name: str, value: float) -> "Figures":
        """The same with another `write-us`, `relay-per-s` or `fired-per-s`, or cost of a request in a process, in
        microseconds; `read-us` and `read-postgres-us` are of every read. KeyError for an unknown name, ValueError for
        what is not above 0.
        """
        if not value > 0:
            raise ValueError(f"{name} must be above 0")
        match name:
            case "write-us":
                return replace(self, write_us=value)
            case "relay-per-s":
                return replace(self, relay_per_s=value)
            case "fired-per-s":
                return replace(self, fired_per_s=value)
            case "read-us":
                return replace(
                    self, one=replace(self.one, door_us=value), work_list=replace(self.work_list, door_us=value)
                )
            case "read-postgres-us":
                return replace(
                    self, one=replace(self.one, postgres_us=value), work_list=replace(self.work_list, postgres_us=value)
                )
        return self._with_cost(name, value)

    def _with_cost(self, process: str, us: float) -> "Figures":
        known = self.submitting[process]
        scaled = Usage(tuple((rate, cores * us / known.full_us) for rate, cores in known.points))
        changes = dict(self.change_us)
        if process in changes:
            changes[process] = us
        return replace(self, submitting={**self.submitting, process: scaled}, change_us=changes)


def processes() -> tuple[str, ...]:
    """Every process whose CPU is known: `<service>-<kind>`, and the servers."""
    return (*(f"{service}-{kind}" for service in SERVICES for kind in KINDS), *SERVERS)


def read(folder: Path) -> Figures:
    """The figures of the results in a folder; what is not there is assumed and named."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    needed = ("chain", "latency", "importing", "submit", "relay", "agenda", "reads", "growth")
    chain, latency, importing, submit, relay, agenda, reads, growth = (results.get(name, {}) for name in needed)
    return Figures(
        submitting={name: _usage(name, _details(chain), _details(latency)) for name in processes()},
        change_us={
            name: us
            for name in processes()
            if (us := _details(importing).get("cpu_us_by_process", {}).get(_measured_as(name))) is not None
        },
        write_us=float(_details(submit).get("door_us", _WITHOUT_RESULTS["api"])),
        relay_per_s=float(relay.get("figure", 15_000.0)),
        fired_per_s=float(_details(agenda).get("fired_per_second", 3_000.0)),
        one=_read(_details(reads), "one"),
        work_list=_read(_details(reads), "work"),
        growth=_growth(_details(growth)),
        sources=tuple(_source(results[name]) for name in needed if name in results),
        assumed=tuple(name for name in needed if name not in results),
    )


def _details(result: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = result.get("details", {})
    return found


def _measured_as(process: str) -> str:
    """Results call a door by its service's name."""
    return process.removesuffix("-api")


def _usage(process: str, chain: Mapping[str, Any], latency: Mapping[str, Any]) -> Usage:
    name = _measured_as(process)
    points = {0.0: float(latency.get("idle_percent_of_a_core", {}).get(name, 0.0)) / 100}
    for rate in (300.0, 1000.0):
        us = latency.get(f"at_{rate:.0f}", {}).get("cpu_us_by_process", {}).get(name)
        if us is not None:
            points[rate] = rate * us / 1e6
    if f"{name}_us" in chain:
        points[float(chain["accepted_per_second"])] = chain["accepted_per_second"] * chain[f"{name}_us"] / 1e6
    measured = max(points.values()) > points[0.0]
    if not measured:
        kind = process if process in SERVERS else process.rpartition("-")[2]
        points[1000.0] = _WITHOUT_RESULTS[kind] / 1000
    rising: list[tuple[float, float]] = []
    for rate, cores in sorted(points.items()):
        rising.append((rate, max(cores, rising[-1][1]) if rising else cores))
    return Usage(tuple(rising), measured)


def _read(reads: Mapping[str, Any], name: str) -> Read:
    if f"{name}_door_us" not in reads:
        return _READ_WITHOUT_RESULTS
    door = float(reads[f"{name}_door_us"])
    return Read(door, float(reads[f"{name}_cpu_us"]) - door)


def _growth(growth: Mapping[str, Any]) -> Mapping[str, Mapping[int, float]]:
    """By operation, then by rows; `agenda_cpu_us` is `agenda` here."""
    found: dict[str, dict[int, float]] = {}
    for rows, figures in growth.get("at", {}).items():
        for name, us in figures.items():
            if name.endswith("_cpu_us"):
                found.setdefault(name.removesuffix("_cpu_us"), {})[int(rows)] = float(us)
    return found


def _source(result: Mapping[str, Any]) -> Source:
    load = result["load_average"]
    return Source(
        result["name"], result["commit"], result["date"], result["machine"], f"{load['before']} → {load['after']}"
    )
