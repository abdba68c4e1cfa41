"""One service's schema backed up and put back as an administrator does it; the service stopped, started, made late."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis import naming
from chassis.provision import Names, provision
from cli.running.installation import Installation
from contracts.registry import TOPICS
from embedded.postgres import binaries
from testkit import orphans
from testkit.eventually import eventually

TABLES = {
    "intake": "submissions",
    "workflow": "requests",
    "approvals": "approval_files",
    "billing": "accounts",
    "notifications": "threads",
}
"""Where each service keeps what it knows of a request."""
_CHASSIS = (
    *("alembic_version", "asks_sent", "claims", "clients", "dead_letters", "documents", "journal", "message_ids"),
    *("relay", "relay_cursor", "series", "waiting", "wake"),
)
_LOST = {
    "notes": ("text",),  # an internal note never leaves
    "price_books": ("state",),  # told to nobody
}
_KEPT_BY_CHASSIS = ("version", "heard", "shape", "edit_version", "blocked", "created_at", "changed_at")

Contents = dict[str, dict[str, dict[str, Any]]]


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


async def empty(installation: Installation, service: str) -> None:
    """The schema as a new installation has it, for the same logins; everything is gone."""
    names = Names(service, installation.prefix)
    connection = await asyncpg.connect(installation.admin_url)
    try:
        await connection.execute(f'DROP SCHEMA "{names.schema}" CASCADE')
    finally:
        await connection.close()
    environment = installation.watch.processes[service].environment
    urls = {
        names.app: environment["THROUGHLINE_DATABASE_URL"],
        names.relay: environment["THROUGHLINE_RELAY_DATABASE_URL"],
    }
    passwords = {login: unquote(urlsplit(url).password or "") for login, url in urls.items()}
    packages = {service: f"{service}.migrations"}
    await provision(installation.admin_url, packages, prefix=installation.prefix, passwords=passwords)


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
    await asyncio.to_thread(installation.watch.start, process)
    process.wanted = True  # no sooner: whoever looks after it would start it as well
    await installation.watch.ready()


async def rows(installation: Installation, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """What the administrator reads."""
    connection = await asyncpg.connect(installation.admin_url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(query, *arguments)
        return found
    finally:
        await connection.close()


async def contents(installation: Installation, service: str) -> Contents:
    """What a service knows: the rows of its own tables by key, without what the chassis keeps in them for itself."""
    schema = Names(service, installation.prefix).schema
    tables = await rows(
        installation,
        "SELECT c.relname AS name, array_agg(a.attname ORDER BY a.attnum) AS key FROM pg_class c "
        "JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey) "
        "WHERE c.relnamespace = $1::regnamespace AND NOT c.relispartition AND c.relname <> ALL($2::text[]) "
        "GROUP BY c.relname",
        schema,
        list(_CHASSIS),
    )
    found: Contents = {}
    for name, key in tables:
        left = {*_LOST.get(name, ()), *_KEPT_BY_CHASSIS}
        found[name] = {
            "/".join(str(row[column]) for column in key): {n: v for n, v in row.items() if n not in left}
            for row in await rows(installation, f'SELECT * FROM {schema}."{name}"')
        }
    return found


def differing(before: Contents, after: Contents) -> dict[str, list[Any]]:
    """Rows that are not as they were, by table, a few of each."""
    found = {
        name: [(key, row, after[name].get(key)) for key, row in rows.items() if not _equal(row, after[name].get(key))]
        for name, rows in before.items()
    }
    return {name: rows[:2] for name, rows in found.items() if rows}


def _equal(before: dict[str, Any], after: dict[str, Any] | None) -> bool:
    return after is not None and {n: _value(v) for n, v in before.items()} == {n: _value(v) for n, v in after.items()}


def _value(value: Any) -> Any:
    """JSON columns come as text; what they say counts, not how it is written."""
    return orjson.loads(value) if isinstance(value, str) and value[:1] in "{[" else value


async def killed(installation: Installation, service: str, once: Callable[[], Awaitable[bool]]) -> None:
    """`kill -9` of a recovery as soon as `once` is true of it."""
    process = await asyncio.create_subprocess_exec(
        *orphans.COMMAND, "recover", service, stdout=DEVNULL, stderr=DEVNULL,
        env={**os.environ, "THROUGHLINE_HOME": str(installation.home)},
    )  # fmt: skip
    await eventually(once, within=60, every=0.005)
    assert process.returncode is None, "it was done before it could be killed"
    process.kill()
    await process.wait()


async def hears_from_now_on(installation: Installation, service: str) -> None:
    """Let a service that is stopped hear nothing of before, as if its topics had dropped it."""
    group = naming.group(installation.prefix, service)
    topics = [one.name for one in TOPICS if one.kind == "stream" and service in one.readers]
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        everything = await consumer._client.fetch_all_metadata()
        places = [
            TopicPartition(name, number)
            for name in (naming.topic(installation.prefix, topic) for topic in topics)
            for number in everything.partitions_for_topic(name) or ()
        ]
        consumer.assign(places)
        await consumer.commit(await consumer.end_offsets(places))
    finally:
        await consumer.stop()
