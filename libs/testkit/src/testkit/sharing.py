"""One pair of servers for all workers of a run: the process that pytest was started as owns them, workers ask it."""

import secrets
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Literal

from testkit.backends import Backend, choose

Kind = Literal["postgres", "kafka"]
Door = tuple[int, str]
"""Where the owner of the servers answers: a port and the key to it."""

LOOPBACK = "127.0.0.1"


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
        key = secrets.token_hex(16)
        self._listener = Listener((LOOPBACK, 0), backlog=64, authkey=key.encode())
        self.door: Door = (int(self._listener.address[1]), key)
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                visitor = self._listener.accept()
            except (AuthenticationError, EOFError, OSError):
                if self._closed.is_set():
                    return
                continue
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


def ask(door: Door, kind: Kind) -> str:
    """A worker's way to `Servers.address`."""
    port, key = door
    with Client((LOOPBACK, port), authkey=key.encode()) as line:
        line.send(kind)
        fine, text = line.recv()
    if not fine:
        raise ServerUnavailable(text)
    return str(text)
