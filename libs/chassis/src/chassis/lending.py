"""Connections that are lent to one read at a time: what asyncpg's pool does at each return costs more than a read."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

_IDLE_SECONDS = 300.0


class Lent:
    """Up to `size` connections, opened when they are needed.

    For single statements only: no transaction, lock or setting outlives one, so nothing is reset in between. What is
    cancelled, or fails otherwise than by an answer, takes its connection with it; so do five idle minutes.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(size)
        self._free: list[tuple[asyncpg.Connection, float]] = []
        self._closed = False

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows of one statement."""
        async with self._places:
            connection = self._taken() or await self._connect()
            try:
                rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError):
                self._given_back(connection)
                raise
            except BaseException:
                connection.terminate()
                raise
            self._given_back(connection)
            return rows

    def _taken(self) -> asyncpg.Connection | None:
        """The connection that was used last, because its plans and its server process are the warmest."""
        while self._free:
            connection, since = self._free.pop()
            if time.monotonic() - since > _IDLE_SECONDS:
                connection.terminate()
            elif not connection.is_closed():
                return connection
        return None

    def _given_back(self, connection: asyncpg.Connection) -> None:
        if self._closed:
            connection.terminate()
        elif not connection.is_closed():
            self._free.append((connection, time.monotonic()))
        while self._free and time.monotonic() - self._free[0][1] > _IDLE_SECONDS:
            self._free.pop(0)[0].terminate()

    async def close(self) -> None:
        """Close what is free; what is lent is closed when it comes back."""
        self._closed = True
        while self._free:
            connection, _ = self._free.pop()
            try:
                await connection.close(timeout=5)
            except (OSError, TimeoutError, asyncpg.InterfaceError):
                connection.terminate()
