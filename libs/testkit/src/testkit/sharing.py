"""One pair of servers for all workers of a run: the process that pytest was started as owns them, workers ask it."""

import tempfile
import threading
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Literal

from testkit.backends import Backend, choose

Kind = Literal["postgres", "kafka"]


class Servers:
    """The servers of this run, held by the process that started it. Each starts when it is first asked for."""

    def __init__(self) -> None:
        self._backend: Backend | None = None
        self._choosing = threading.Lock()
        self._starting: dict[Kind, threading.Lock] = {"postgres": threading.Lock(), "kafka": threading.Lock()}
        self._broken: dict[Kind, Exception] = {}

    @property
    def backend(self) -> Backend:
        with self._choosing:
            if self._backend is None:
                self._backend = choose()
            return self._backend

    @property
    def started(self) -> bool:
        """Whether anybody asked yet."""
        return self._backend is not None

    def address(self, kind: Kind) -> str:
        """Start the server of this kind if need be. What failed once is not tried again, so that a run ends soon."""
        with self._starting[kind]:
            if kind in self._broken:
                raise self._broken[kind]
            try:
                return self.backend.postgres() if kind == "postgres" else self.backend.kafka()
            except Exception as wrong:
                self._broken[kind] = wrong
                raise

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()


class Office:
    """Answers the workers: they name a kind, it says the address."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._folder = tempfile.TemporaryDirectory(prefix="throughline-run-")
        self.door = str(Path(self._folder.name) / "door")
        self._listener = Listener(self.door, family="AF_UNIX", backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                visitor = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(visitor,), daemon=True).start()

    def _answer(self, visitor: "Connection[tuple[bool, str], Kind]") -> None:
        with visitor:
            kind = visitor.recv()
            try:
                visitor.send((True, self._servers.address(kind)))
            except Exception as wrong:  # noqa: BLE001 - the worker raises it
                visitor.send((False, str(wrong)))


class ServerUnavailable(Exception):
    """The run's server could not be started; the message is what the owner of the servers saw."""


def ask(door: str, kind: Kind) -> str:
    """A worker's way to `Servers.address`."""
    with Client(door, family="AF_UNIX") as line:
        line.send(kind)
        fine, text = line.recv()
    if not fine:
        raise ServerUnavailable(text)
    return str(text)
