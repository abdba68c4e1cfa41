"""Faults: each strikes, heals, and proves that it struck. A fault that did not happen fails the run."""

import asyncio
import contextlib
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from random import Random

from cli.running.forked import Forked
from cli.running.services import Process
from testkit.chaos.proxy import Proxy
from testkit.chaos.site import Site
from testkit.eventually import eventually

BACK_WITHIN = 60.0


class Fault(ABC):
    """Something that goes wrong for a while."""

    name: str
    proof: str = ""
    """How one can see that it happened; empty as long as it has not."""
    longer: float = 0.0
    """Seconds that it takes by itself, however long faults are to last: requests go on to begin for as much longer."""
    oldest_unsent: float | None = None
    """Seconds that a fact waited at worst to be published while it lasted; None: it did not look."""
    orphans: Sequence[str] = ()
    """What a reconciliation missed that was part of it."""

    @property
    def struck(self) -> bool:
        """Whether it really happened."""
        return bool(self.proof)

    @abstractmethod
    async def strike(self) -> None:
        """Begin."""

    async def heal(self) -> None:
        """End, and return; the system may take its time to recover from here on."""
        return

    async def look_again(self) -> None:
        """What is to be seen of it when all is quiet again; `proof` and the rest may still change."""
        return


def state_of(pid: int) -> str:
    """The state of a process as the kernel tells it (T: stopped); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def child_of(process: Process) -> Forked:
    """The process that runs now."""
    assert process.child is not None
    return process.child


def said_since(log: Path, size: int) -> str:
    """What was written to a log since it had that size."""
    with log.open("rb") as file:
        file.seek(size)
        return file.read().decode(errors="replace")


async def ended(process: Process, number: signal.Signals) -> Forked:
    """Send a signal, and return what ran once the supervisor has put another in its place."""
    child = child_of(process)
    os.kill(child.pid, number)
    await replaced(process, child, within=BACK_WITHIN)
    return child


async def replaced(process: Process, child: Forked, *, within: float) -> None:
    """Return once the supervisor has started a process again."""
    await eventually(lambda: process.child is not child, within=within)


async def ready(process: Process) -> None:
    """Return once a process says that it is ready."""

    await eventually(process.ready, within=BACK_WITHIN, every=0.1)


class Killed(Fault):
    """kill -9 of processes, one after the other; the supervisor starts each again."""

    def __init__(self, site: Site, names: Sequence[str]) -> None:
        self.name = "kill " + ", ".join(names)
        self._processes = [site.watch.processes[name] for name in names]

    async def strike(self) -> None:
        children = [await ended(process, signal.SIGKILL) for process in self._processes]
        if all(child.returncode == -signal.SIGKILL for child in children):
            self.proof = f"killed {[child.pid for child in children]}"


class Restarted(Fault):
    """SIGTERM of processes, each awaited until it is ready again: a rolling restart. They drain, and end with 0."""

    def __init__(self, site: Site, names: Sequence[str]) -> None:
        self.name = "term " + ", ".join(names)
        self._processes = [site.watch.processes[name] for name in names]

    async def strike(self) -> None:
        children = []
        for process in self._processes:
            children.append(await ended(process, signal.SIGTERM))
            await ready(process)
        if all(child.returncode == 0 for child in children):
            self.proof = f"drained {[child.pid for child in children]}"


class Frozen(Fault):
    """SIGSTOP of processes until healed. They are overtaken when that is longer than a lease or a session lasts, and
    when there is somebody to take over: `testkit.chaos.overtaking` sees to both.
    """

    def __init__(self, site: Site, names: Sequence[str]) -> None:
        self.name = "freeze " + ", ".join(names)
        self._site = site
        self._names = names
        self._pids: list[int] = []

    async def strike(self) -> None:
        for name in self._names:
            child = child_of(self._site.watch.processes[name])
            os.kill(child.pid, signal.SIGSTOP)
            self._pids.append(child.pid)
        await eventually(lambda: all(state_of(pid) == "T" for pid in self._pids), within=5)

    async def heal(self) -> None:
        if all(state_of(pid) == "T" for pid in self._pids):
            self.proof = f"stopped all the while: {self._pids}"
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Link(Fault):
    """A link that is slow, stalls, is reset again and again, is cut in the middle of a message, or is gone."""

    def __init__(self, name: str, proxy: Proxy, how: str, chance: Random) -> None:
        self.name = f"link {name} {how}"
        self._proxy = proxy
        self._how = how
        self._chance = chance
        self._before = 0
        self._again: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        self._before = self._proxy.hurt
        if self._how in ("reset", "cut"):
            self._again = asyncio.create_task(self._repeatedly())
        elif self._how == "slow":
            self._proxy.slow(self._chance.uniform(0.05, 0.3))
        elif self._how == "stall":
            self._proxy.stall()
        else:
            self._proxy.away()

    async def _repeatedly(self) -> None:
        while True:
            if self._how == "reset":
                self._proxy.reset()
            else:
                self._proxy.cut_after(self._chance.randrange(1_000, 60_000))
            await asyncio.sleep(self._chance.uniform(0.3, 2.0))

    async def heal(self) -> None:
        if self._again is not None:
            self._again.cancel()
        self._proxy.heal()
        if self._proxy.hurt > self._before:
            self.proof = f"{self._proxy.hurt - self._before} chunks or connections were hurt"


class Both(Fault):
    """Two faults at once."""

    def __init__(self, first: Fault, second: Fault) -> None:
        self.name = f"{first.name} + {second.name}"
        self._faults = (first, second)

    async def strike(self) -> None:
        await asyncio.gather(*(fault.strike() for fault in self._faults))

    async def heal(self) -> None:
        await asyncio.gather(*(fault.heal() for fault in self._faults))
        if all(fault.struck for fault in self._faults):
            self.proof = "; ".join(fault.proof for fault in self._faults)
