"""The installation's processes: started on free ports, restarted when they die, stopped in good order."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.running.forked import Forked, ForkServer
from embedded.errors import NotStarted

READY_WITHIN = 45.0
_LOOK_EVERY = 0.05
_ANSWER_WITHIN = 5.0


@dataclass
class Process:
    """One process of the installation and how to start it again."""

    name: str
    module: str
    role: str
    environment: dict[str, str]
    directory: Path
    port: int = 0
    restarts: int = 0
    child: Forked | None = None
    wanted: bool = True
    paused_until: float = 0.0
    forks: ForkServer | None = None
    """Where it is forked from, when that is another than its neighbours': a process of another release."""

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.directory / f"{self.name}.log"

    @property
    def port_file(self) -> Path:
        """Where it says on which port it listens."""
        return self.directory / f"{self.name}.port"

    def start(self, forks: ForkServer) -> None:
        """Start it; on its old port when it had one, so that its address stays; on another if that did not work."""
        if self.child is not None and not self.listening:
            self.port = 0
        self.port_file.unlink(missing_ok=True)
        arguments = ["--role", self.role, "--port", str(self.port), "--port-file", str(self.port_file)]
        self.child = (self.forks or forks).fork(self.module, arguments, {**os.environ, **self.environment}, self.log)

    @property
    def listening(self) -> bool:
        """Whether it has said its port."""
        try:
            self.port = int(json.loads(self.port_file.read_text())["port"])
        except (OSError, ValueError, KeyError):
            return False
        return True

    @property
    def address(self) -> str:
        """The base address of its HTTP door."""
        return f"http://127.0.0.1:{self.port}"

    async def ready(self) -> bool:
        """Whether it listens and says that it is ready."""
        if not self.listening:
            return False
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                said = await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return False
        return b" 200 " in said


class Watch:
    """Keeps processes running: one that ends unasked is started again at once, within 5 s at the most."""

    def __init__(self, forks: ForkServer, moved: Callable[[], None] = lambda: None) -> None:
        """`moved` is called when a process that was started again has got another address."""
        self.processes: dict[str, Process] = {}
        self._moved = moved
        self._forks = forks
        self._task: asyncio.Task[None] | None = None

    def add(self, process: Process) -> None:
        """Take a process into care and start it."""
        self.processes[process.name] = process
        self.start(process)

    def start(self, process: Process) -> None:
        """Start a process, for the first time or again."""
        process.start(self._forks)

    async def ready(self) -> None:
        """Return when every process is ready; raises NotStarted with the end of its log."""
        deadline = time.monotonic() + READY_WITHIN
        for process in self.processes.values():
            while not await process.ready():
                child = process.child
                if child is not None and child.returncode is not None:
                    raise NotStarted(f"{process.name} ended while starting (status {child.returncode})", child.tail())
                if time.monotonic() > deadline:
                    raise NotStarted(f"{process.name} was not ready within {READY_WITHIN:.0f} s", _tail(process))
                await asyncio.sleep(0.05)

    def begin(self) -> None:
        """Start looking after them."""
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            for process in self.processes.values():
                address = process.address
                if process.listening and process.address != address:
                    self._moved()
                if self._died(process):
                    process.restarts += 1
                    process.paused_until = time.monotonic() + min(4.0, 0.25 * 2 ** min(process.restarts, 4))
                    with contextlib.suppress(NotStarted):  # tried again at the next look
                        await asyncio.to_thread(self.start, process)
            await asyncio.sleep(_LOOK_EVERY)

    @staticmethod
    def _died(process: Process) -> bool:
        """Whether to start it again; one that dies over and over is given a little longer each time."""
        ended = process.child is not None and process.child.returncode is not None
        return process.wanted and ended and time.monotonic() >= process.paused_until

    async def stop(self) -> None:
        """End them all, each after it has finished what it has in hand."""
        if self._task is not None:
            self._task.cancel()
        for process in self.processes.values():
            process.wanted = False
        await asyncio.gather(
            *(asyncio.to_thread(process.child.stop) for process in self.processes.values() if process.child is not None)
        )

    def restarts(self) -> Mapping[str, int]:
        """How often each process had to be started again."""
        return {process.name: process.restarts for process in self.processes.values() if process.restarts}


def _tail(process: Process) -> str:
    return process.child.tail() if process.child is not None else ""
