"""A TCP proxy that a link's faults are made of: latency, stall, reset, cut, and nobody there at all."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

_CHUNK = 64 << 10
_HANG_UP_HARD = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""


class Proxy:
    """Passes bytes between clients and `target()` on a port of 127.0.0.1, as badly as it is told.

    `hurt` counts what the faults did: chunks held up, connections reset or cut, connections not taken.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        """`target` says the port behind, which may change while the proxy stands."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._taking = True
        self._latency = 0.0
        self._left: int | None = None
        self.port = 0
        self.hurt = 0

    @property
    def connections(self) -> int:
        """Connections that pass through now, both sides counted."""
        return len(self._open)

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0, limit=_CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up and listen no more."""
        self.heal()
        if self._server is not None:
            self._server.close()
        self._hang_up()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    # -- faults --------------------------------------------------------------------------------------------------

    def slow(self, seconds: float) -> None:
        """Hold every chunk up for so long, each way."""
        self._latency = seconds

    def stall(self) -> None:
        """Let nothing through; connections stay open, as with a machine that froze."""
        self._flowing.clear()

    def reset(self) -> None:
        """Reset every connection; new ones are taken."""
        self.hurt += len(self._open)
        self._hang_up(hard=True)

    def away(self) -> None:
        """Reset every connection and take no new one."""
        self._taking = False
        self.reset()

    def cut_after(self, octets: int) -> None:
        """Reset the connection that passes the so-many-th byte, in the middle of what it says."""
        self._left = octets

    def heal(self) -> None:
        """Be an ordinary link again."""
        self._latency, self._left, self._taking = 0.0, None, True
        self._flowing.set()

    # -- passing -------------------------------------------------------------------------------------------------

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._taking:
            self.hurt += 1
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target())
        except OSError:
            _reset(writer)
            return
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer, writer)),
            asyncio.create_task(self._pump(far_reader, writer, far_writer)),
        ]
        self._open |= {writer, far_writer}
        self._pumps |= set(pumps)
        await asyncio.gather(*pumps, return_exceptions=True)
        self._pumps -= set(pumps)
        self._open -= {writer, far_writer}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._latency or not self._flowing.is_set():
                    self.hurt += 1
                    await asyncio.sleep(self._latency)
                    await self._flowing.wait()
                if self._cuts(data):
                    writer.write(data[: len(data) // 2])
                    _reset(writer)
                    _reset(back)
                    return
                writer.write(data)
                await writer.drain()
        for end in (writer, back):
            end.close()

    def _cuts(self, data: bytes) -> bool:
        if self._left is None:
            return False
        self._left -= len(data)
        if self._left > 0:
            return False
        self._left = None
        self.hurt += 1
        return True

    def _hang_up(self, *, hard: bool = False) -> None:
        for writer in list(self._open):
            if hard:
                _reset(writer)
            else:
                writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP_HARD)
    writer.transport.abort()
