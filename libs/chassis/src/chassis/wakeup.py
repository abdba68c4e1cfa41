"""Waking relay and timers across processes: one coalesced NOTIFY after commits, LISTEN on the other side.

The notification leaves a connection of its own after the commit: inside the business transaction it would serialise
commits. It is a hint and never the only way: whoever waits looks again after at most a second.
"""

import asyncio
import contextlib

import asyncpg
import structlog

from chassis.database import AWAY

FACTS, WAKES = "facts", "wakes"
_AT_MOST_EVERY = 0.005
_LOOK_ANYWAY = 1.0
_POLL_FIRST, _POLL_LONGEST = 0.003, 0.1

log = structlog.get_logger(__name__)


class Wakeup:
    """One process's end of the bell. Without a direct connection (PgBouncer) waiting is polling, 3 ms to 100 ms."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._channel = ""
        self._told: set[str] = set()
        self._ring: asyncio.Task[None] | None = None
        self._events: dict[str, asyncio.Event] = {FACTS: asyncio.Event(), WAKES: asyncio.Event()}
        self._listening = False
        self._idle = 0
        self._using = asyncio.Lock()
        """One connection rings and listens: one of the two at a time."""

    def committed(self, facts: bool, wakes: bool) -> None:
        """Ring after a commit; calls within 5 ms become one notification."""
        for name, happened in ((FACTS, facts), (WAKES, wakes)):
            if happened:
                self._told.add(name)
                self._events[name].set()
        if self._told and self._url is not None and (self._ring is None or self._ring.done()):
            self._ring = asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        while self._told:
            told, self._told = sorted(self._told), set()
            try:
                async with self._using:
                    connection = await self._connected()
                    await connection.execute("SELECT pg_notify($1, $2)", self._channel, " ".join(told), timeout=5)
            except AWAY as error:
                log.debug("not_notified", error=str(error))
                return
            await asyncio.sleep(_AT_MOST_EVERY)

    async def wait(self, seconds: float, what: str = WAKES) -> None:
        """Return after a notification, or after `seconds`, or after a second: whichever is first."""
        event = self._events[what]
        if self._url is None:
            await self._poll(event, seconds)
            return
        try:
            await self._listen()
        except AWAY as error:
            log.debug("not_listening", error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), min(seconds, _LOOK_ANYWAY))
        event.clear()

    async def _poll(self, event: asyncio.Event, seconds: float) -> None:
        pause = min(_POLL_LONGEST, _POLL_FIRST * 2**self._idle, seconds)
        self._idle = min(self._idle + 1, 6)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), pause)
            self._idle = 0
        event.clear()

    def busy(self) -> None:
        """Say that the last look found something, so that polling starts quickly again."""
        self._idle = 0

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._listening = False
            connection = await asyncpg.connect(self._url, timeout=5)
            try:
                # One channel per schema: installations may share a database.
                self._channel = await connection.fetchval("SELECT 'throughline_' || current_schema()")
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    async def _listen(self) -> None:
        if self._listening and self._connection is not None and not self._connection.is_closed():
            return
        async with self._using:
            connection = await self._connected()
            if not self._listening:
                await connection.add_listener(self._channel, self._heard)
                self._listening = True
                for event in self._events.values():
                    event.set()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        for name in str(payload).split():
            if name in self._events:
                self._events[name].set()

    async def close(self) -> None:
        """Stop ringing and listening."""
        if self._ring is not None:
            self._ring.cancel()
        if self._connection is not None and not self._connection.is_closed():
            with contextlib.suppress(*AWAY):
                await self._connection.close(timeout=2)
