"""A process that has imported the services once and forks the installation's processes: `python -m` without its cost.

It reads orders on standard input and writes what happens on standard output, one JSON object a line:

    {"n": 1, "module": "billing", "arguments": […], "environment": {…}, "log": "…"}  is answered  {"n": 1, "pid": 77}
    {"pid": 77, "signal": 15}                                                 and, at its end,  {"pid": 77, "status": 0}

One thread, no loop, nothing connected: so a fork of it is as good as a new interpreter. Standard input is the
lifeline: when it closes, every process is ended; unless `{"done": true}` was said before, the supervisor has died, and
the directory that the only argument names is removed.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import time
from typing import Any, TypedDict

from contracts.registry import SERVICES
from embedded.guard import die_with_parent, remove

_GRACE = 25.0
_PR_SET_NAME = 15
_LATER = (
    "chassis.app",
    "chassis.listening",
    "anyio._backends._asyncio",
    "uvicorn.protocols.http.httptools_impl",
    "pydantic.v1",
)
"""What a service imports only when a role of it begins."""


class Order(TypedDict):
    """What to run, as `python -m module arguments` would."""

    n: int
    module: str
    arguments: list[str]
    environment: dict[str, str]
    log: str


def main(arguments: list[str]) -> None:
    """Serve orders; in a forked process, become what was ordered and end with its exit status."""
    for module in (*(f"{service}.main" for service in SERVICES), *_LATER):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    server, parent = Server(), os.getpid()
    order = server.serve()
    if order is not None:
        die_with_parent(parent)
        become(order)
        return
    server.end()
    if arguments and not server.done:
        remove(arguments[0], within=_GRACE)


class Server:
    """The forked processes that run, and the two ends that the supervisor holds."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._said = b""
        self.done = False
        """Whether the supervisor itself has ended this."""
        self._deaths, self._told = os.pipe()
        os.set_blocking(self._told, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the supervisor says when to end

    def serve(self) -> Order | None:
        """Return None when the lifeline has closed; in a forked process, what it is to become."""
        while True:
            readable, _, _ = select.select([0, self._deaths], [], [])
            if self._deaths in readable:
                os.read(self._deaths, 4096)
                self.reap()
            if 0 not in readable:
                continue
            heard = os.read(0, 1 << 16)
            if not heard:
                return None
            *lines, self._said = (self._said + heard).split(b"\n")
            for line in lines:
                order = self._obey(json.loads(line))
                if order is not None:
                    return order

    def _obey(self, said: dict[str, Any]) -> Order | None:
        if "done" in said:
            self.done = True
            return None
        if "signal" in said:
            if said["pid"] in self._running:
                os.kill(said["pid"], said["signal"])
            return None
        order: Order = said  # type: ignore[assignment]
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            os.close(self._deaths)
            os.close(self._told)
            return order
        self._running.add(pid)
        _tell({"n": order["n"], "pid": pid})
        return None

    def reap(self) -> None:
        """Tell of every process that has ended."""
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._running.discard(pid)
            _tell({"pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def end(self) -> None:
        """Ask all processes to end, and kill those that do not in time."""
        deadline = time.monotonic() + _GRACE
        for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + _GRACE)):
            for pid in self._running:
                os.kill(pid, number)
            while self._running and time.monotonic() < until:
                select.select([self._deaths], [], [], 0.1)
                self.reap()


def become(order: Order) -> None:
    """Turn this fork into what `python -m` would have made of the order."""
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = [order["module"], *order["arguments"]]
    _call(" ".join([order["module"], *order["arguments"][1:2]]))
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def _call(name: str) -> None:
    """Give this process a name that `ps` and `top` show, where the system has such a thing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def _tell(what: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the lifeline has closed, too
        os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
