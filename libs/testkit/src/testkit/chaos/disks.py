"""Disks that are full: a server's data on a file system whose size becomes what is in use already."""

import asyncio
import contextlib
from typing import Final

import asyncpg

from testkit.chaos.faults import Fault, said_since
from testkit.chaos.mounts import ROOM, fill, resize
from testkit.chaos.site import Site
from testkit.eventually import eventually

_NO_ROOM: Final = "No space left on device"
_STRIKES_WITHIN: Final = 45.0
_WRITES = "INSERT INTO filler SELECT repeat(md5(random()::text), 200) FROM generate_series(1, 200)"


class DiskFull(Fault):
    """No room for another page of a server's data or log, until it is healed by giving it room."""

    def __init__(self, site: Site, server: str) -> None:
        self.name = f"no room on the disk of {server}"
        self._site = site
        self._server = server
        self._directory = site.home / server / "data"
        self._log = site.home / server / f"{server}.log"
        self._said = 0
        self._watching: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        """Return once the server itself has said that there is no room."""
        self._said = self._log.stat().st_size
        self._watching = asyncio.create_task(self._keep_full())
        with contextlib.suppress(AssertionError):
            await eventually(self._says_so, within=_STRIKES_WITHIN, every=0.2)
            self.proof = f"{self._server} says: {_NO_ROOM}"

    def _says_so(self) -> bool:
        return _NO_ROOM in said_since(self._log, self._said)

    async def _keep_full(self) -> None:
        """Leave no room whatever is given back meanwhile; PostgreSQL is made to need some."""
        while True:
            await asyncio.to_thread(fill, self._directory)
            if self._server == "postgres":
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._write()
            await asyncio.sleep(0.3)

    async def _write(self) -> None:
        connection = await asyncpg.connect(self._site.admin_url, timeout=5)
        try:
            await connection.execute("CREATE TABLE IF NOT EXISTS filler (v text)", timeout=5)
            await connection.execute(_WRITES, timeout=5)
            await connection.execute("SELECT pg_switch_wal()", timeout=5)
        finally:
            connection.terminate()

    async def heal(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.to_thread(resize, self._directory, ROOM)
