"""Which alerts a fault sets off: faults one after the other on a site, scraped all the while as Prometheus would."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from testkit.chaos.faults import Fault
from testkit.chaos.site import Site
from testkit.eventually import eventually
from testkit.promtool import Question
from testkit.scraping import Scrapes, Target

EVERY = 1.0
"""Seconds from one round of scrapes to the next."""
_ANSWER_WITHIN = 0.9
_LABELS = "alertname, service, role, window"


@dataclass(frozen=True)
class Alert:
    """An alert that fires, and for what: what is empty may be anything, or is not there."""

    name: str
    service: str = ""
    role: str = ""
    window: str = ""
    by: str = ""
    """The phase whose fault set it off, when that was an earlier one."""

    @property
    def labels(self) -> dict[str, str]:
        """As a rule labels it."""
        said = {"alertname": self.name, "service": self.service, "role": self.role, "window": self.window}
        return {label: value for label, value in said.items() if value}


@dataclass(frozen=True)
class Phase:
    """A fault, how many seconds it lasts, and what fires from its strike to the next one's."""

    name: str
    make: Callable[[Site], Fault] | None
    lasts: float
    fires: Collection[Alert] = ()
    may: Collection[Alert] = ()
    """What may fire besides: it depends on the machine, or is what an earlier phase left."""

    def set_off(self, alert: Alert) -> str:
        """The name of the phase whose fault set off one of its alerts."""
        return alert.by or self.name


class Span(NamedTuple):
    """The rounds of a phase, the last one not among them."""

    first: int
    end: int


class Again(Fault):
    """The same several times, each healed before the next."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.name = f"{len(faults)} times {faults[0].name}"
        self._faults = faults

    async def strike(self) -> None:
        for fault in self._faults:
            await fault.strike()
            await fault.heal()
        if all(fault.struck for fault in self._faults):
            self.proof = "; ".join(fault.proof for fault in self._faults)


class Scraping:
    """All processes of a site, every second, whether or not they answer in time."""

    def __init__(self, site: Site, names: Collection[str]) -> None:
        self.scrapes = Scrapes("throughline", only=names)
        self._site = site
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """In step: where a round comes too late for its second, that second has none."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            at = max(self.scrapes.rounds, int((loop.time() - began) / EVERY))
            await asyncio.sleep(max(0.0, began + at * EVERY - loop.time()))
            processes = self._site.watch.processes.values()
            targets = [Target(each.address, each.module, each.role) for each in processes]
            await self.scrapes.take(targets, at=at, within=_ANSWER_WITHIN)

    async def goes_on(self, rounds: int) -> None:
        """Return when there have been so many more rounds."""
        until = self.scrapes.rounds + rounds
        await eventually(lambda: self.scrapes.rounds >= until, within=60.0 + rounds)


async def carry_out(site: Site, phases: Iterable[Phase], scraping: Scraping) -> list[Span]:
    """Each phase once, in their order; fails when a fault did not strike."""
    firsts = []
    for phase in phases:
        firsts.append(scraping.scrapes.rounds)
        until = asyncio.get_running_loop().time() + phase.lasts
        fault = None if phase.make is None else phase.make(site)
        try:
            if fault is not None:
                await fault.strike()
            await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
        finally:
            if fault is not None:
                await fault.heal()
        assert fault is None or fault.struck, f"{phase.name} did not happen"
    await scraping.goes_on(1)
    return [Span(*each) for each in pairwise([*firsts, scraping.scrapes.rounds])]


def questions(phases: Sequence[Phase], spans: Sequence[Span], seconds: int, after: int) -> list[Question]:
    """What fired in each phase, and what fires at the end, a round being so many seconds and `after` rounds before all.

    What fires in one phase may still do so in the beginning of the next; at the end only what the last one says.
    """
    asked = []
    for n, (phase, span) in enumerate(zip(phases, spans, strict=True)):
        before = [*phases[n - 1].fires, *phases[n - 1].may] if n else []
        ever = f"[{(span.end - span.first - 1) * seconds + 1}s]"
        at = f"{(after + span.end - 1) * seconds}s"
        asked.append(Question(_firing([*phase.may, *before], phase, ever), at, [each.labels for each in phase.fires]))
    last = phases[-1]
    asked.append(Question(_firing(last.may, last, ""), asked[-1].at, [each.labels for each in last.fires]))
    return asked


def _firing(may: Collection[Alert], phase: Phase, ever: str) -> str:
    """What fires (in a range: what ever did), without what may and need not."""
    sure = [each.labels.items() for each in phase.fires]
    rest = {
        tuple(labels.items()) for labels in (each.labels for each in may) if not any(labels.items() <= s for s in sure)
    }
    return " unless ".join([_alerts((), ever), *(_alerts(each, ever) for each in sorted(rest))])


def _alerts(labels: Iterable[tuple[str, str]], ever: str) -> str:
    chosen = ",".join(f'{label}="{value}"' for label, value in (("alertstate", "firing"), *labels))
    found = f"ALERTS{{{chosen}}}{ever}"
    return f"group by ({_LABELS}) ({f'max_over_time({found})' if ever else found})"
