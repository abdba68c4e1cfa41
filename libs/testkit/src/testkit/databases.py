"""Databases for tests: empty ones, and clones of templates that a run builds once."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

Build = Callable[[str], Awaitable[None]]
"""Fills a new database, given the superuser's URL of it. It closes its connections before it returns."""


@dataclass(frozen=True)
class Database:
    """One database of a test. `url` is the superuser's."""

    url: str

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.lstrip("/")

    def as_user(self, user: str, password: str) -> str:
        """The same database, entered as somebody else."""
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{place}"))


class Databases:
    """Makes databases on one server, all named after one run, and drops the ones it gave out."""

    def __init__(self, admin_url: str, run: str) -> None:
        self._admin_url = admin_url
        self._run = run
        self._given: list[str] = []

    async def __call__(self) -> Database:
        """An empty database."""
        return await self._create("template0")

    async def template(self, name: str, build: Build) -> Database:
        """A clone of the template `name`. Whoever asks first builds it, once per run; the others wait."""
        source = f"{self._run}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        async with self._admin() as admin:
            if not await _exists(admin, source):
                await self._build(admin, source, build)
        return await self._create(source)

    async def close(self) -> None:
        """Drop the databases that were given out; templates stay for the rest of the run."""
        async with self._admin() as admin:
            while self._given:
                await admin.execute(f'DROP DATABASE IF EXISTS "{self._given.pop()}" WITH (FORCE)')

    async def _create(self, template: str) -> Database:
        name = f"{self._run}_{secrets.token_hex(6)}"
        async with self._admin() as admin:
            await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        self._given.append(name)
        return Database(self._url(name))

    async def _build(self, admin: "asyncpg.Connection[asyncpg.Record]", name: str, build: Build) -> None:
        """Build under another name, so that a template exists only when it is finished."""
        await admin.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", name)
        if await _exists(admin, name):
            return
        unfinished = f"{name}_new"
        await admin.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{unfinished}" TEMPLATE template0')
        await build(self._url(unfinished))
        await _until_alone(admin, unfinished)
        await admin.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._admin_url)._replace(path=f"/{name}"))

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(self._admin_url)
        try:
            yield connection
        finally:
            await connection.close()


async def drop_all(admin_url: str, run: str) -> None:
    """Remove every database of a run, templates too."""
    admin = await asyncpg.connect(admin_url)
    try:
        for row in await admin.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"{run}_"):
            await admin.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')
    finally:
        await admin.close()


async def _exists(admin: "asyncpg.Connection[asyncpg.Record]", name: str) -> bool:
    return await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name) is not None


async def _until_alone(admin: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    """A closed connection's backend takes a moment to go."""
    clients = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'"
    for _ in range(200):
        if not await admin.fetchval(clients, name):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the build of {name} left connections open")
