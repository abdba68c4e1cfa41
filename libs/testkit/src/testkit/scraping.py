"""A small Prometheus: scrapes `/metrics` of processes, checks what it is given, and keeps it as promtool's series."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx2
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_MISSING = "_"


class Target(NamedTuple):
    """A process to be scraped, and the labels that Prometheus is configured to give what comes from it."""

    address: str
    service: str
    role: str


async def scrape(address: str) -> list[Metric] | None:
    """What a process answers at `/metrics`; None when it does not."""
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            answer = await client.get(f"{address}/metrics")
    except httpx2.HTTPError:
        return None
    return list(text_string_to_metric_families(answer.text)) if answer.status_code == 200 else None


class Scrapes:
    """Samples of all targets, round by round, with `up` as Prometheus adds it."""

    def __init__(self, job: str) -> None:
        self._job = job
        self.rounds = 0
        self._values: dict[str, list[str]] = {}

    async def take(self, targets: list[Target]) -> None:
        """One round."""
        found = await asyncio.gather(*(scrape(target.address) for target in targets))
        for target, metrics in zip(targets, found, strict=True):
            place = {"job": self._job, "service": target.service, "role": target.role, "instance": target.address}
            self._keep("up", place, 0.0 if metrics is None else 1.0)
            for metric in metrics or ():
                for sample in metric.samples:
                    self._keep(sample.name, {**sample.labels, **place}, sample.value)
        self.rounds += 1

    def _keep(self, name: str, labels: Mapping[str, str], value: float) -> None:
        said = ",".join(f'{label}="{_quoted(text)}"' for label, text in sorted(labels.items()))
        values = self._values.setdefault(f"{name}{{{said}}}", [])
        values += [_MISSING] * (self.rounds - len(values))
        values.append(f"{value:.17g}")

    def series(self, *names: str) -> dict[str, str]:
        """Every series of these metrics, as promtool's files have them."""
        return dict(self._chosen(set(names)))

    def _chosen(self, names: set[str]) -> Iterator[tuple[str, str]]:
        for name, values in self._values.items():
            if name.partition("{")[0] in names:
                yield name, " ".join([*values, *[_MISSING] * (self.rounds - len(values))])


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
