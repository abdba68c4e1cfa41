"""Faults of the servers: killed, stopped, restarted, and frozen with their connections open."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Final, Protocol

from testkit.chaos.faults import BACK_WITHIN, Fault, said_since, state_of
from testkit.chaos.operations import Operations
from testkit.eventually import eventually

AWAY_FOR: Final = 30.0
"""Seconds that Kafka stays away when it is to be for long."""
_LAST: Final = 10.0
"""The last seconds of them, in which submissions must be accepted still."""
STOPS: Final = {
    signal.SIGQUIT: "received immediate shutdown request",
    signal.SIGINT: "received fast shutdown request",
}
"""What PostgreSQL says of a stop without a checkpoint, and of one in good order."""
_RECOVERS: Final = "was not properly shut down"
"""What it says at the start after an end without a checkpoint."""


class Server(Protocol):
    """An embedded server."""

    @property
    def pid(self) -> int | None: ...
    @property
    def running(self) -> bool: ...
    @property
    def log(self) -> Path: ...
    def kill(self) -> None: ...


class ServerKilled(Fault):
    """kill -9 of a server with all its processes; the supervisor starts it again on its data."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = f"kill {name}"
        self._server = server

    async def strike(self) -> None:
        before = self._server.pid
        await asyncio.to_thread(self._server.kill)
        await eventually(lambda: self._server.running, within=BACK_WITHIN)
        if before is not None and self._server.pid not in (None, before):
            self.proof = f"process {before} is now {self._server.pid}"


class ServerStopped(Fault):
    """PostgreSQL stopped by a signal, and started again by the supervisor; its log says how it ended."""

    def __init__(self, name: str, server: Server, number: signal.Signals) -> None:
        self.name = f"{number.name} to {name}"
        self._server = server
        self._number = number

    async def strike(self) -> None:
        said = self._server.log.stat().st_size
        before = await stopped(self._server, self._number)
        told = said_since(self._server.log, said)
        if STOPS[self._number] in told and (_RECOVERS in told) == (self._number == signal.SIGQUIT):
            self.proof = f"{STOPS[self._number]}; process {before} is now {self._server.pid}"


async def stopped(server: Server, number: signal.Signals) -> int:
    """Send a server a signal, and return its old process once the supervisor has started it again."""
    before = server.pid
    assert before is not None
    os.kill(before, number)
    await eventually(lambda: server.pid not in (None, before), within=BACK_WITHIN)
    return before


class ServerFrozen(Fault):
    """SIGSTOP of Kafka: connections stay open and nothing answers, until healed."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = f"freeze {name}"
        self._server = server
        self._pid = 0

    async def strike(self) -> None:
        self._pid = self._server.pid or 0
        os.kill(self._pid, signal.SIGSTOP)

    async def heal(self) -> None:
        if state_of(self._pid) == "T":
            self.proof = f"process {self._pid} stood still"
        os.kill(self._pid, signal.SIGCONT)


class LongAway(ServerFrozen):
    """Kafka frozen for half a minute at the least. Submissions over HTTP must be accepted to its end."""

    longer = AWAY_FOR

    def __init__(self, name: str, server: Server, operations: Operations) -> None:
        super().__init__(name, server)
        self._operations = operations
        self._since = 0.0
        self._before = 0

    async def strike(self) -> None:
        await super().strike()
        self._since, self._before = time.monotonic(), self._accepted()

    async def heal(self) -> None:
        """Half a minute after it struck at the earliest."""
        await asyncio.sleep(max(0.0, self._since + AWAY_FOR - _LAST - time.monotonic()))
        late = self._accepted()
        await asyncio.sleep(_LAST)
        accepted, lasted = self._accepted(), time.monotonic() - self._since
        await super().heal()
        if accepted == late:
            self.proof = ""
        elif self.proof:
            self.proof += (
                f" for {lasted:.0f} s; {accepted - self._before} accepted, {accepted - late} of them at its end"
            )

    def _accepted(self) -> int:
        """The other system does not count: it is answered over Kafka."""
        return sum(each.via == "http" for each in self._operations.submissions("ok"))
