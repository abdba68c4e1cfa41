"""The HTTP server of a process: uvicorn on a socket of our own, so that the port is known and signals stay ours."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis import health
from chassis.health import Health

_TICK = 1.0
"""Seconds between two looks at the clock, for the `Date` header."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As it is, and say so afterwards."""
        await super().startup(sockets)
        self.answering.set()

    async def main_loop(self) -> None:
        """As it is, without its ten wake-ups a second: whoever stops it rings."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), _TICK)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business."""
        yield


class Server:
    """One listening socket and the app behind it."""

    def __init__(
        self, app: ASGIApp, *, host: str, port: int, trusted_proxies: str = "", drain_seconds: float = 5.0
    ) -> None:
        self._socket = _bound(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        config = uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=trusted_proxies or None,
            timeout_graceful_shutdown=max(1, int(drain_seconds)),
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=16 << 10,
        )
        self._server = _Server(config)

    async def serve(self) -> None:
        """Serve until `stop`; requests in hand are answered first."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no new connections, finish what is in hand."""
        self._server.should_exit = True
        self._server.stopping.set()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT stop it: for a process that is nothing but this server."""
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self.stop)

    async def listening(self) -> None:
        """Return once requests are answered."""
        await self._server.answering.wait()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.setblocking(False)
    return bound


class Watched:
    """The little app of a process that serves no API: its health and metrics."""

    def __init__(self, state: Health) -> None:
        self._health = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in health.PATHS:
            await self._health(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("Not Found", 404)(scope, receive, send)


def announce(service: str, role: str, server: Server, port_file: Path | None) -> None:
    """Say where this process listens: one JSON line on standard output, `port_file` written as a whole before it.

    Whoever has read the line finds the file.
    """
    where = {"service": service, "role": role, "host": server.host, "port": server.port, "pid": os.getpid()}
    if port_file is not None:
        unfinished = port_file.with_name(port_file.name + ".new")
        unfinished.write_bytes(orjson.dumps(where))
        unfinished.replace(port_file)
    print(orjson.dumps({"event": "listening", **where}).decode(), flush=True)
