"""Clocks that are wrong: one process believes in another time, by libfaketime where that is installed."""

import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx2

from cli.running.services import Process
from embedded.process import Child
from testkit.chaos.faults import BACK_WITHIN, Fault, child_of, ready
from testkit.chaos.site import Site
from testkit.eventually import eventually

SKEWS: Final = {"ahead": "+1h", "behind": "-1h", "fast": "+0 x3"}
"""As libfaketime is told: an hour off, or three seconds a second."""
_WRONG_BY: Final = 5.0
_OURS = Path(sys.prefix, "lib/faketime")
_PLACES = (_OURS, *Path("/usr/lib").glob("*/faketime"), Path("/usr/lib/faketime"), Path("/usr/local/lib/faketime"))


def library() -> Path | None:
    """Where libfaketime is, if it is."""
    found = (place / "libfaketimeMT.so.1" for place in _PLACES)
    return next((each for each in found if each.exists()), None)


def missing() -> str | None:
    """Why no clock can be wrong here; None when it can."""
    return None if library() is not None else "libfaketime is not installed (Debian: faketime)"


class Skewed(Fault):
    """A process is replaced by one like it with a wrong clock, and by an ordinary one at the end."""

    def __init__(self, site: Site, name: str, how: str) -> None:
        self.name = f"clock of {name} {how}"
        self._site = site
        self._process = site.watch.processes[name]
        self._skew = SKEWS[how]
        self._twin: Child | None = None

    async def strike(self) -> None:
        self._process.wanted = False
        await asyncio.to_thread(child_of(self._process).stop)
        self._twin = await asyncio.to_thread(self._start, self._process)
        await ready(self._process)

    def _start(self, process: Process) -> Child:
        process.port_file.unlink(missing_ok=True)
        where = ["--port", str(process.port), "--port-file", str(process.port_file)]
        environment = {
            **os.environ,
            **process.environment,
            "LD_PRELOAD": str(library()),
            "FAKETIME": self._skew,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        command = [sys.executable, "-m", process.module, "--role", process.role, *where]
        return Child(command, log=process.directory / f"{process.name}.skewed.log", env=environment)

    async def heal(self, within: float = BACK_WITHIN) -> None:
        """It must have told a wrong time itself, as long as it has run, and be alive still."""
        twin = self._twin
        if twin is not None:
            with contextlib.suppress(httpx2.HTTPError, AssertionError):
                wrong = await eventually(self._wrong_by, within=within, every=0.5)
                self.proof = f"it was {wrong:.0f} s off" if twin.returncode is None else ""
            await asyncio.to_thread(twin.stop)
        self._site.watch.start(self._process)
        self._process.wanted = True

    async def _wrong_by(self) -> float:
        """Seconds, either way, once they are enough to tell."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            told = (await client.get(f"{self._process.address}/livez")).headers["date"]
        off = abs((parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
        return off if off > _WRONG_BY else 0.0
