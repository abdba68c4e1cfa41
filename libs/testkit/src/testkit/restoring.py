"""One service's schema backed up and put back as an administrator does it, and the service stopped in between."""

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import asyncpg

from chassis.provision import Names
from cli.running.installation import Installation
from embedded.postgres import binaries

PUBLISHED_WITHIN = 30.0
_UNSENT = (
    "SELECT count(*) FROM {schema}.relay_cursor c JOIN {schema}.journal j "
    "ON j.grp = c.grp AND (j.seq > c.high OR j.seq = ANY(c.holes)) WHERE j.topic IS NOT NULL"
)


async def back_up(installation: Installation, service: str, to: Path) -> None:
    """`pg_dump` of one schema: everything in it as of one moment, while everybody is at work."""
    schema = Names(service, installation.prefix).schema
    await _ran("pg_dump", "--format=custom", f"--schema={schema}", f"--file={to}", installation.admin_url)


async def put_back(installation: Installation, service: str, backup: Path) -> None:
    """The schema as it was; whatever came after is gone."""
    schema = Names(service, installation.prefix).schema
    connection = await asyncpg.connect(installation.admin_url)
    try:
        await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
    finally:
        await connection.close()
    await _ran("pg_restore", f"--dbname={installation.admin_url}", "--exit-on-error", "--single-transaction", backup)


async def _ran(program: str, *arguments: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        str(binaries() / program), *map(str, arguments), stdout=PIPE, stderr=PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, (said + complained).decode()


async def stop(installation: Installation, service: str) -> None:
    """Stop a service in good order; everything that it stated is published."""
    process = installation.watch.processes[service]
    process.wanted = False
    assert process.child is not None
    await asyncio.to_thread(process.child.stop)


async def start(installation: Installation, service: str) -> None:
    """Start it again, and return when it is ready."""
    process = installation.watch.processes[service]
    process.wanted = True
    await asyncio.to_thread(installation.watch.start, process)
    await installation.watch.ready()


async def rows(installation: Installation, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """What the administrator reads."""
    connection = await asyncpg.connect(installation.admin_url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(query, *arguments)
        return found
    finally:
        await connection.close()


async def unsent(installation: Installation, service: str) -> int:
    """Facts that a service has not published."""
    schema = Names(service, installation.prefix).schema
    return int((await rows(installation, _UNSENT.format(schema=schema)))[0][0])
