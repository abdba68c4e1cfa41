"""A server that is a child of this process: started, asked, stopped, killed, and never left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from embedded import guard
from embedded.errors import NotStarted


class Child:
    """One guarded process. It ends with this process at the latest, even when this process is killed."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        stop: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        unprivileged: Path | None = None,
        remove: Path | None = None,
    ) -> None:
        """Start `command` with `log` taking what it prints.

        `unprivileged` names the directory it owns when it must not run as root; `remove` is deleted when this process
        dies without having stopped the child.
        """
        self.log = log
        self._grace = grace
        self._stop = stop
        spec: guard.Spec = {
            "command": list(command),
            "stop": int(stop),
            "grace": grace,
            "unprivileged": str(unprivileged) if unprivileged else None,
            "remove": str(remove) if remove else None,
        }
        with log.open("ab") as sink:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, json.dumps(spec)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=dict(env) if env is not None else None,
                start_new_session=True,
            )
        self.pid = int(_pipe(self._guard.stdout).readline() or 0)

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._guard.poll()

    def wait_until(self, ready: Callable[[], bool], *, within: float, name: str) -> None:
        """Poll `ready` until it is true; raise NotStarted when the child ends first or time is up."""
        deadline = time.monotonic() + within
        while not ready():
            if self.returncode is not None:
                self._close()
                raise NotStarted(f"{name} ended while starting (status {self.returncode})", self.tail())
            if time.monotonic() > deadline:
                self.kill()
                raise NotStarted(f"{name} was not ready within {within:.0f} s", self.tail())
            time.sleep(0.02)

    def finish(self, *, within: float, name: str) -> None:
        """Wait for its end; raise NotStarted when that was no success or did not come in time."""
        try:
            code = self._guard.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotStarted(f"{name} did not end within {within:.0f} s", self.tail()) from None
        self._close()
        if code != 0:
            raise NotStarted(f"{name} failed (status {code})", self.tail())

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not within its grace. Safe to call twice."""
        self._signal(self._stop)
        try:
            self._guard.wait(self._grace)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close()

    def kill(self) -> None:
        """kill -9, with its own children; returns when all of them are gone."""
        family = [self.pid, *children(self.pid)] if self.returncode is None else []
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._guard.wait()
        while any(_alive(pid) for pid in family):
            time.sleep(0.005)
        self._close()

    def pause(self) -> None:
        """Freeze it where it stands, as a machine that stops answering does; returns when each of its threads does."""
        self._signal(signal.SIGSTOP)
        while self.returncode is None and any(state not in "Tt" for state in _threads(self.pid)):
            time.sleep(0.001)  # the signal reaches one thread after the other; nothing tells when the last has stopped

    def resume(self) -> None:
        """Let a paused child go on."""
        self._signal(signal.SIGCONT)

    def tail(self, lines: int = 15) -> str:
        """The last lines of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _close(self) -> None:
        for pipe in (self._guard.stdin, self._guard.stdout):
            with contextlib.suppress(BrokenPipeError):
                _pipe(pipe).close()


def children(pid: int) -> list[int]:
    """The direct children of a process, where the system tells (Linux)."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill_inside(directory: Path) -> None:
    """kill -9 of every process that works in `directory`, where the system tells (Linux); returns when all are gone."""
    place = str(directory.resolve())
    found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _works_in(entry, place)]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(_alive(pid) for pid in found):
        time.sleep(0.005)


def guards(directory: Path) -> list[int]:
    """The guards of processes that have to do with `directory`, where the system tells (Linux)."""
    place, found = os.fsencode(directory.resolve()), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(guard.__file__) in words and any(place in word for word in words):
            found.append(int(entry.name))
    return found


def _works_in(process: Path, place: str) -> bool:
    try:
        return os.readlink(process / "cwd") == place
    except OSError:
        return False


def _alive(pid: int) -> bool:
    return _state(Path(f"/proc/{pid}")) not in "ZX"


def _state(entry: Path) -> str:
    """The state of a process or thread as the kernel tells it (T: stopped, Z: over); X when it is gone."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _threads(pid: int) -> list[str]:
    """The states of a process's threads that are not over, where the system tells (Linux)."""
    states = [_state(entry) for entry in Path(f"/proc/{pid}/task").glob("[0-9]*")] if pid else []
    return [state for state in states if state not in "ZX"]


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # asked for as PIPE above
    return stream
