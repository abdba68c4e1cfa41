"""`throughline doctor`: looks at everything an installation stands on, and says what to do."""

import asyncio
import platform
from dataclasses import asdict
from importlib.metadata import version

import asyncpg
import httpx2
import typer
from aiokafka.errors import KafkaError
from rich.table import Table

from chassis.clock import utc_now
from cli import site
from cli.clients import schemas
from cli.console import JsonFlag, as_json, console, run
from cli.health import brokers, databases
from cli.health.finding import OK, WATCH, WRONG, Finding
from contracts.registry import SERVICES

_MARKS = {OK: "[green]ok[/]", WATCH: "[yellow]watch[/]", WRONG: "[red]wrong[/]"}
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def doctor(json: JsonFlag = False) -> None:
    """Look at versions, schemas, topics, lag, what is unsent, due or waiting; exit status 1 when something is wrong."""
    found = run(examine())
    if json:
        as_json({"at": utc_now(), "findings": [asdict(each) for each in found]})
    else:
        _show(found)
    if any(each.state == WRONG for each in found):
        raise typer.Exit(1)


async def examine() -> list[Finding]:
    """Every finding, servers first. What cannot be reached is a finding too."""
    where = site.find()
    here = Finding(
        "here", "versions", OK, f"throughline {version('throughline-cli')}, Python {platform.python_version()}"
    )
    parts = await asyncio.gather(_database(where), _kafka(where), _doors(where))
    return [here, *(each for part in parts for each in part)]


async def _database(where: site.Site) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with schemas(where) as visits:
            async for service, connection in visits:
                if not found:
                    said = f"PostgreSQL {connection.get_server_version().major}"
                    found.append(Finding("postgres", "version", OK, said))
                found += await databases.look(connection, service)
    except _AWAY as error:
        do = "is it up, and does THROUGHLINE_ADMIN_DATABASE_URL name it?"
        found.append(Finding("postgres", "reachable", WRONG, str(error) or type(error).__name__, do))
    return found


async def _kafka(where: site.Site) -> list[Finding]:
    try:
        return await brokers.look(where.prefix, where.partitions, where.kafka)
    except (KafkaError, *_AWAY) as error:
        do = "is it up, and does THROUGHLINE_KAFKA_BOOTSTRAP name it?"
        return [Finding("kafka", "reachable", WRONG, str(error) or type(error).__name__, do)]


async def _doors(where: site.Site) -> list[Finding]:
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as client:
        asked = [_ready(client, service, where.services.get(service)) for service in SERVICES]
        return list(await asyncio.gather(*asked))


async def _ready(client: httpx2.AsyncClient, service: str, address: str | None) -> Finding:
    if address is None:
        return Finding(service, "ready", WATCH, "not asked", f"set {service.upper()}_URL to where it listens")
    try:
        answer = await client.get(f"{address}/readyz")
    except httpx2.HTTPError as error:
        said = f"{address} does not answer ({type(error).__name__})"
        return Finding(service, "ready", WRONG, said, f"start `python -m {service} --role api`")
    if answer.status_code == 200:
        return Finding(service, "ready", OK, address)
    return Finding(service, "ready", WRONG, answer.text.strip()[:200], "mend what it names; it becomes ready by itself")


def _show(found: list[Finding]) -> None:
    table = Table("", "where", "what", "how it is", box=None, pad_edge=False)
    for each in found:
        table.add_row(_MARKS[each.state], each.where, each.what, each.said)
    console.print(table)
    todo = [each for each in found if each.do and each.state != OK]
    if not todo:
        console.print("[green]all is well[/]")
    for each in todo:
        console.print(f"• {each.where}, {each.what}: {each.do}", markup=False, soft_wrap=True)
