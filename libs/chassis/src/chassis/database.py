"""PostgreSQL through asyncpg: connections to write and to read by, and statements written with Core, compiled once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import ClauseElement
from sqlalchemy.dialects import postgresql

from chassis.lending import Lent

_DIALECT = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]

LOST = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.UniqueViolationError,
)
"""What a lost race looks like: read and decide again."""

AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # said of a connection that was lost in the middle of an operation
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What a database that cannot serve now looks like: wait and repeat."""


_PLANS = {"jit": "off", "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Every statement here is prepared and has its index: planning it anew for each call costs more than running it."""


_SETTINGS = "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS s(name, value)"


class Unavailable(Exception):
    """The database cannot be asked now; nothing was written."""


@dataclass(frozen=True)
class Statement:
    """SQL text with the names of its parameters in order."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """The values in the statement's order; a missing one is a KeyError."""
        return [values[name] for name in self.names]


def statement(clause: ClauseElement) -> Statement:
    """Compile a Core statement to what asyncpg runs. Do it once, at import."""
    compiled = clause.compile(dialect=_DIALECT)
    defaults = {name: value for name, value in compiled.params.items() if value is not None}
    names = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
    return _Fixed(compiled.string, names, defaults) if defaults else Statement(compiled.string, names)


@dataclass(frozen=True)
class _Fixed(Statement):
    """A statement with literal values of its own beside the caller's."""

    fixed: dict[str, Any]

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        return [values[name] if name in values else self.fixed[name] for name in self.names]


async def _no_reset(_: asyncpg.Connection) -> None:
    """Nothing session-wide is ever set on a pooled connection, so nothing has to be reset."""


class Database:
    """One schema, as its service's runtime login sees it.

    `writes` carries what must be durable, under a short lock timeout; `reads` runs without waiting for the WAL,
    because numbers drawn while reading would otherwise make every read flush it.
    """

    def __init__(self, url: str, *, size: int = 8, pooled: bool = False, lock_timeout_ms: int = 250) -> None:
        self._url = url
        self._size = size
        self._pooled = pooled
        self._lock_timeout_ms = lock_timeout_ms
        self._writes: asyncpg.Pool | None = None
        self._reads: Lent | None = None
        self._opening = asyncio.Lock()

    def _options(self, **settings: str) -> dict[str, Any]:
        options = {"statement_cache_size": 0} if self._pooled else {"server_settings": {**_PLANS, **settings}}
        return {"command_timeout": 30, "timeout": 5, **options}

    async def writes(self) -> asyncpg.Pool:
        """The pool for what must be durable."""
        if self._writes is None:
            async with self._opening:
                if self._writes is None:
                    options = self._options(lock_timeout=f"{self._lock_timeout_ms}ms")
                    self._writes = await asyncpg.create_pool(
                        self._url, min_size=0, max_size=self._size, reset=_no_reset, **options
                    )
        return self._writes

    def _lent(self) -> Lent:
        if self._reads is None:
            options = self._options(synchronous_commit="off")
            self._reads = Lent(lambda: asyncpg.connect(self._url, **options), self._size)
        return self._reads

    async def fetch(self, query: Statement, **values: Any) -> list[asyncpg.Record]:
        """All rows of a read; raises Unavailable when the database cannot be asked."""
        return await self.read(query.sql, *query.arguments(values))

    async def fetchrow(self, query: Statement, **values: Any) -> asyncpg.Record | None:
        """The first row of a read, or None."""
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def read(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows of a read that is given as text; raises Unavailable when its tables stay locked, too."""
        try:
            return await (self._reads or self._lent()).fetch(sql, *arguments)
        except (*AWAY, *LOST) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    async def execute(self, sql: str, *arguments: Any) -> str:
        """Run one statement durably, by itself; raises Unavailable when it was not sent."""
        try:
            async with (await self.writes()).acquire() as connection:
                return str(await connection.execute(sql, *arguments))
        except AWAY as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def begin(self, *, lock_timeout: str = "3s", **settings: str) -> AsyncIterator[asyncpg.Connection]:
        """One transaction under settings of its own, committed at the end of the block."""
        settings["lock_timeout"] = lock_timeout
        async with (await self.writes()).acquire() as connection, connection.transaction():
            await connection.execute(_SETTINGS, list(settings), list(settings.values()))
            yield connection  # type: ignore[misc]

    async def connect(self) -> asyncpg.Connection:
        """A connection of its own, outside the pools; the caller closes it."""
        return await asyncpg.connect(self._url, timeout=5)

    async def close(self) -> None:
        """Give every connection back."""
        writes, self._writes = self._writes, None
        reads, self._reads = self._reads, None
        if reads is not None:
            await reads.close()
        if writes is not None:
            try:
                await asyncio.wait_for(writes.close(), timeout=5)
            except TimeoutError:
                writes.terminate()
