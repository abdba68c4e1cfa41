"""Rows watched while a run goes on: positions, numbers and versions may only grow."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from cli.clients import schemas
from contracts.registry import SERVICES
from testkit.chaos.evidence import per_request
from testkit.chaos.site import Site

_CHANGED = (
    "SELECT id, version, sequence, heard::text, clock_timestamp() AS now FROM {table} WHERE changed_at > $1 ORDER BY id"
)
_EVERY = 1.0
_AGAIN = timedelta(seconds=5)
"""How far each look goes back: a row may become visible after one that changed later."""


class Seen(NamedTuple):
    """What may only grow of a row."""

    version: int
    sequence: int
    heard: str


class Seeing:
    """What was seen last of each row, and what went back since. Pure."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, UUID], Seen] = {}
        self.went_back: list[str] = []

    def look(self, service: str, rows: Iterable[Any]) -> None:
        """Compare rows with what was seen of them before."""
        for row in rows:
            seen = Seen(row["version"], row["sequence"], row["heard"])
            before = self._last.get((service, row["id"]))
            if before is not None and before != seen:
                self.went_back += [f"{service}/{row['id']}: {told}" for told in _went_back(before, seen)]
            self._last[service, row["id"]] = seen


def _went_back(before: Seen, now: Seen) -> Iterator[str]:
    was, now_is = (
        {"version": each.version, "sequence": each.sequence, **orjson.loads(each.heard)} for each in (before, now)
    )
    for name, value in was.items():
        if now_is.get(name, 0) < value:
            yield f"{name} was {value}, is {now_is.get(name, 0)}"


class Watching:
    """Looks once a second while the database answers, as long as an installation stands."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seeing = Seeing()
        self._since = dict.fromkeys(SERVICES, datetime(2000, 1, 1, tzinfo=UTC))
        self._task: asyncio.Task[None] | None = None

    @property
    def went_back(self) -> list[str]:
        """What was seen to go back."""
        return self._seeing.went_back

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # away: asked again
                await self._look()
            await asyncio.sleep(_EVERY)

    async def _look(self) -> None:
        async with schemas(self._site.running()) as visits:
            async for name, connection in visits:
                query = _CHANGED.format(table=per_request(name).table.name)
                rows = await connection.fetch(query, self._since[name])
                self._seeing.look(name, rows)
                if rows:
                    self._since[name] = rows[0]["now"] - _AGAIN
