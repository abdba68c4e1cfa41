"""Faults at a named place of a process's code: it dies there, or stands still there while the rest of it goes on."""

import asyncio
import contextlib
import math
import os
import signal
import time

from testkit.chaos.faults import Fault, child_of, ended, replaced, said_since
from testkit.chaos.site import Site
from testkit.eventually import eventually

_REACHED_WITHIN = 30.0
"""Seconds beyond its time that a failpoint may take to be reached: a busy machine starts processes slowly."""
_SETTING = "THROUGHLINE_FAILPOINTS"


class AtFailpoint(Fault):
    """A process kills itself at a named failpoint, again after every restart, until healed."""

    def __init__(self, site: Site, process: str, point: str, passage: int) -> None:
        self.name = f"failpoint {process} {point}@{passage}"
        self._process = site.watch.processes[process]
        self._spec = f"{point}=kill@{passage}"
        self.deaths = 0
        self._counting: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        """Arm it, and restart the process so that it reads the setting; it dies by its own hand from here on."""
        self._process.environment[_SETTING] = self._spec
        await ended(self._process, signal.SIGTERM)
        self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        child = child_of(self._process)
        while True:
            await replaced(self._process, child, within=math.inf)
            self.deaths += child.returncode == -signal.SIGKILL
            child = child_of(self._process)

    async def heal(self) -> None:
        """Disarm it, once it has been reached: what still lives is replaced once more."""
        with contextlib.suppress(AssertionError):
            await eventually(lambda: self.deaths > 0, within=_REACHED_WITHIN)
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)
        child = child_of(self._process)
        if self.deaths or child.returncode == -signal.SIGKILL:
            self.proof = f"it died there {max(1, self.deaths)} times"
        self._process.environment.pop(_SETTING, None)
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)


class PausedAt(Fault):
    """A process stands still at a named failpoint, once, while the rest of it goes on: a race window held open."""

    def __init__(self, site: Site, process: str, point: str, seconds: float, passage: int) -> None:
        self.name = f"pause {process} {point}@{passage} for {seconds:.1f} s"
        self._process = site.watch.processes[process]
        self._spec = f"{point}=pause({seconds:.1f})@{passage}"
        self._seconds = seconds
        self._said = 0
        self._since: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        """Arm it, and restart the process so that it reads the setting."""
        self._said = self._process.log.stat().st_size
        self._process.environment[_SETTING] = self._spec
        await ended(self._process, signal.SIGTERM)
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        await eventually(self.reached, within=math.inf, every=0.1)
        self._since = time.monotonic()

    async def heal(self) -> None:
        """Disarm it for the next start, once it has been reached and the pause is over; this one pauses no more."""
        with contextlib.suppress(AssertionError):
            await eventually(lambda: self._since is not None, within=_REACHED_WITHIN)
            self.proof = "it said so in its log"
            await eventually(self._over, within=self._seconds + 1)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        self.disarm()

    def disarm(self) -> None:
        """Let the next process pause nowhere."""
        self._process.environment.pop(_SETTING, None)

    def reached(self) -> bool:
        """Whether it has said in its log that it stands there."""
        return '"failpoint_reached"' in said_since(self._process.log, self._said)

    def _over(self) -> bool:
        return self._since is not None and time.monotonic() >= self._since + self._seconds
