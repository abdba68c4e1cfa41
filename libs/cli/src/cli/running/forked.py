"""Processes of an installation forked from one that has imported the services already."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from embedded.errors import NotStarted

_WARM_WITHIN = 60.0
_DRAIN = 25.0
_KILLED = -signal.SIGKILL
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Forked:
    """One process. It ends with the fork server at the latest, which ends with this process."""

    def __init__(self, server: "ForkServer", log: Path) -> None:
        self.log = log
        self.pid = 0
        self.returncode: int | None = None
        """None while it runs."""
        self._server = server
        self._begun = threading.Event()
        self._ended = threading.Event()

    def begun(self, pid: int) -> None:
        """It runs."""
        self.pid = pid
        self._begun.set()

    def ended(self, status: int) -> None:
        """It has ended."""
        self.returncode = status
        self._ended.set()
        self._begun.set()

    def wait_until_begun(self, within: float) -> None:
        """Raise NotStarted when it could not be forked."""
        if not self._begun.wait(within) or self.pid == 0:
            raise NotStarted("the fork server does not fork", self._server.tail())

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not within its grace. Safe to call twice."""
        self._server.signal(self, signal.SIGTERM)
        if not self._ended.wait(_DRAIN):
            self.kill()

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self._server.signal(self, signal.SIGKILL)
        self._ended.wait()

    def tail(self, lines: int = 15) -> str:
        """The last lines of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class ForkServer:
    """The fork server as its supervisor sees it. One that was killed takes its processes along, and is replaced."""

    def __init__(
        self,
        directory: Path,
        *,
        remove: Path | None,
        name: str = "forkserver",
        environment: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Logs go to `directory`; `remove` is deleted when this process dies without having stopped the server.

        What it imports, and so what runs in all of its processes, follows from `environment`.
        """
        self._log = directory / f"{name}.log"
        self._environment = environment
        self._remove = remove
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: dict[int, Forked] = {}
        self._running: dict[int, Forked] = {}

    @property
    def pid(self) -> int | None:
        """The server's process; None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it; it takes orders at once, and follows them when it has imported everything."""
        self.stop()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli.running.forkserver", *([str(self._remove)] if self._remove else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONTZPATH": "", **self._environment},
                start_new_session=True,
            )
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def fork(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
        """Run `python -m module arguments`; raises NotStarted."""
        forked, n = Forked(self, log), next(self._numbers)
        order = {"n": n, "module": module, "arguments": list(arguments), "environment": dict(environment)}
        with self._lock:
            if self.pid is None:
                self.start()
            self._asked[n] = forked
            self._say({**order, "log": str(log)})
        forked.wait_until_begun(_WARM_WITHIN)
        return forked

    def signal(self, forked: Forked, number: signal.Signals) -> None:
        """Send a process a signal; nothing happens when it has ended."""
        with self._lock:
            if forked.returncode is None:
                self._say({"pid": forked.pid, "signal": int(number)})

    def stop(self) -> None:
        """End it; what still runs is ended by it first."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError, ValueError):
                self._say({"done": True})
                _pipe(self._process.stdin).close()
            self._process.wait()

    def tail(self) -> str:
        """The last lines of what the server itself printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _say(self, what: dict[str, Any]) -> None:
        assert self._process is not None  # started before anything is said
        with contextlib.suppress(BrokenPipeError):  # its end is heard on the other pipe
            pipe = _pipe(self._process.stdin)
            pipe.write(json.dumps(what).encode() + b"\n")
            pipe.flush()

    def _listen(self, pipe: IO[bytes]) -> None:
        """Hear what becomes of the processes, until the server ends and they with it."""
        with pipe:
            for line in pipe:
                said = json.loads(line)
                if "n" in said:
                    forked = self._running[said["pid"]] = self._asked.pop(said["n"])
                    forked.begun(said["pid"])
                else:
                    self._running.pop(said["pid"]).ended(said["status"])
        with self._lock:
            left = [*self._running.values(), *self._asked.values()]
            self._running, self._asked = {}, {}
        for forked in left:
            forked.ended(_KILLED)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # asked for as PIPE above
    return stream
