"""Clocks that are wrong: a process or the database believes in another time, by libfaketime where it is installed."""

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import asyncpg
import httpx2

from cli.running.services import Process
from embedded.postgres import Postgres
from embedded.process import Child
from testkit.chaos.faults import BACK_WITHIN, Fault, child_of, ready
from testkit.chaos.servers import stopped
from testkit.chaos.site import Site
from testkit.eventually import eventually

SKEWS: Final = {"ahead": "+1h", "behind": "-1h", "fast": "+0 x3"}
"""As libfaketime is told: an hour off, or three seconds a second."""
SERVER_SKEWS: Final = ("-20s", "+20s")
"""The database's: what is written with it stays, and must be outlived when the clock is right again."""
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


def believing(skew: str) -> dict[str, str]:
    """The environment of a process with a wrong clock."""
    monotonic = dict.fromkeys(("FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC"), "1")
    return {"LD_PRELOAD": str(library()), "FAKETIME": skew, **monotonic}


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
        environment = {**os.environ, **process.environment, **believing(self._skew)}
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


class ServerSkewed(Fault):
    """PostgreSQL, whose clock decides, is restarted with a wrong one, and with the right one at the end."""

    def __init__(self, site: Site, server: Postgres, skew: str) -> None:
        self.name = f"clock of postgres {skew}"
        self._site = site
        self._server = server
        self._skew = skew

    async def strike(self) -> None:
        self._server.environment = believing(self._skew)
        await stopped(self._server, signal.SIGINT)

    async def heal(self) -> None:
        """It must tell a wrong time itself."""
        off = await self._wrong_by()
        self._server.environment = {}
        await stopped(self._server, signal.SIGINT)
        left = await self._wrong_by()
        if abs(off) > _WRONG_BY > abs(left):
            self.proof = f"it was {off:+.0f} s off, and {left:+.0f} s afterwards"

    async def _wrong_by(self) -> float:
        connection = await asyncpg.connect(self._site.admin_url, timeout=10)
        try:
            told: datetime = await connection.fetchval("SELECT clock_timestamp()")
        finally:
            await connection.close()
        return (told - datetime.now(UTC)).total_seconds()
