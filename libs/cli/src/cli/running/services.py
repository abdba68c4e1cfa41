"""The five services as guarded children: started on free ports, restarted when they die, stopped in good order."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import NotStarted
from embedded.process import Child

READY_WITHIN = 45.0
_LOOK_EVERY = 0.2
_DRAIN = 25.0


@dataclass
class Process:
    """One process of the installation and how to start it again."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    directory: Path
    port: int = 0
    restarts: int = 0
    child: Child | None = None
    wanted: bool = True
    paused_until: float = 0.0
    remove: Path | None = None
    """A directory that goes when this process's supervisor is killed."""

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.directory / f"{self.name}.log"

    @property
    def port_file(self) -> Path:
        """Where it says on which port it listens."""
        return self.directory / f"{self.name}.port"

    def start(self) -> None:
        """Start it; on its old port when it had one, so that its address stays."""
        self.port_file.unlink(missing_ok=True)
        command = [sys.executable, *self.arguments, "--port", str(self.port), "--port-file", str(self.port_file)]
        self.child = Child(
            command, log=self.log, env={**os.environ, **self.environment}, grace=_DRAIN, remove=self.remove
        )

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


class Watch:
    """Keeps processes running: one that ends unasked is started again at once, within 5 s at the most."""

    def __init__(self) -> None:
        self.processes: dict[str, Process] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, process: Process) -> None:
        """Take a process into care and start it."""
        self.processes[process.name] = process
        process.start()

    async def ready(self) -> None:
        """Return when every process listens; raises NotStarted with the end of its log."""
        deadline = time.monotonic() + READY_WITHIN
        for process in self.processes.values():
            while not process.listening:
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
                self._restart(process)
            await asyncio.sleep(_LOOK_EVERY)

    @staticmethod
    def _restart(process: Process) -> None:
        child, now = process.child, time.monotonic()
        if not process.wanted or child is None or child.returncode is None or now < process.paused_until:
            return
        child.kill()  # it has ended; what is left of its relay and its pipes goes too
        process.restarts += 1
        process.paused_until = now + min(4.0, 0.25 * 2 ** min(process.restarts, 4))
        process.start()

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
