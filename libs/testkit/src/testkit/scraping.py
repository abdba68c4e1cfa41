"""A small Prometheus: scrapes `/metrics` of processes, checks what it is given, and keeps it as promtool's series."""

import asyncio
import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import httpx2
from prometheus_client import REGISTRY, Metric
from prometheus_client.parser import text_string_to_metric_families

_MISSING, _STALE = "_", "stale"
_COUNTED = ("_total", "_count", "_sum", "_bucket")
"""How the names of counters end."""
_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Only plain HTTP is spoken: a client that reads whom to trust takes a tenth of a second for it."""


class Target(NamedTuple):
    """A process to be scraped, and the labels that Prometheus is configured to give what comes from it."""

    address: str
    service: str
    role: str


async def scrape(address: str, *, only: Collection[str] = (), within: float = 5.0) -> list[Metric] | None:
    """What a process answers at `/metrics`, of samples with these names alone if any are given; None: no answer."""
    try:
        async with asyncio.timeout(within), httpx2.AsyncClient(trust_env=False, verify=_TRUSTS_NOBODY) as client:
            answer = await client.get(f"{address}/metrics")
    except (httpx2.HTTPError, TimeoutError):
        return None
    if answer.status_code != 200:
        return None
    lines: Iterable[str] = answer.text.splitlines()
    if only:
        lines = [line for line in lines if line.partition(" ")[0].partition("{")[0] in only]
    return list(text_string_to_metric_families("\n".join([*lines, ""])))


def measured(name: str, **labels: str) -> float:
    """What this process would answer of a counter or gauge with these labels; 0 while there is no such series."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Scrapes:
    """Samples of all targets, round by round, with `up` as Prometheus adds it.

    A round that was left out tells nothing; what is not there in a round any more is stale from then on, as Prometheus
    has it.
    """

    def __init__(self, job: str, *, only: Collection[str] = ()) -> None:
        self._job = job
        self._only = frozenset(only)
        self._taken: set[int] = set()
        self._values: dict[str, dict[int, float]] = {}

    @property
    def rounds(self) -> int:
        """How many there have been, those that were left out too."""
        return max(self._taken, default=-1) + 1

    async def take(self, targets: list[Target], *, at: int | None = None, within: float = 5.0) -> None:
        """One round: the next, or a later one, when some were missed."""
        found = await asyncio.gather(*(scrape(each.address, only=self._only, within=within) for each in targets))
        self.enter(dict(zip(targets, found, strict=True)), self.rounds if at is None else at)

    def enter(self, answers: Mapping[Target, list[Metric] | None], at: int) -> None:
        """What the targets answered in a round."""
        self._taken.add(at)
        for target, metrics in answers.items():
            place = {"job": self._job, "service": target.service, "role": target.role, "instance": target.address}
            self._keep("up", place, at, 0.0 if metrics is None else 1.0)
            for metric in metrics or ():
                for sample in metric.samples:
                    self._keep(sample.name, {**sample.labels, **place}, at, sample.value)

    def _keep(self, name: str, labels: Mapping[str, str], at: int, value: float) -> None:
        said = ",".join(f'{label}="{_quoted(text)}"' for label, text in sorted(labels.items()))
        self._values.setdefault(f"{name}{{{said}}}", {})[at] = value

    def series(self, *names: str, times: float = 1.0, after: int = 0) -> dict[str, str]:
        """Every series of these metrics, as promtool's files have them.

        `times` is put to every counter, so that rates stay when the rounds are told as that much farther apart;
        `after` so many rounds that had none of it.
        """
        before = [f"_x{after}"] if after else []
        return {
            series: " ".join([*before, *self._told(values, times if _name(series).endswith(_COUNTED) else 1)])
            for series, values in self._values.items()
            if _name(series) in names
        }

    def _told(self, values: Mapping[int, float], times: float) -> Iterator[str]:
        there = False
        for at in range(self.rounds):
            if at in values:
                there = True
                yield f"{values[at] * times:.17g}"
            elif there and at in self._taken:
                there = False
                yield _STALE
            else:
                yield _MISSING


def _name(series: str) -> str:
    return series.partition("{")[0]


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
