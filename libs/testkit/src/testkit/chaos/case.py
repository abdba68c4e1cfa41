"""What is kept of a run that failed, since its installation is gone afterwards: logs, and all about what it named."""

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from cli.clients import schemas
from testkit.chaos.children import of_subjects, tables_of
from testkit.chaos.evidence import service
from testkit.chaos.experiment import Result
from testkit.chaos.site import Site
from testkit.chaos.witness import ID, Witness

_MOST: Final = 20
_OF_SUBJECT: Final = ("journal", "waiting", "wake")


def named(result: Result) -> list[UUID]:
    """The requests, or other things, that its violations name; the first few. Pure."""
    found = (each for violation in result.violations for each in ID.findall(f"{violation.where} {violation.evidence}"))
    return [UUID(text) for text in list(dict.fromkeys(found))[:_MOST]]


async def keep(folder: Path, result: Result, site: Site, witness: Witness) -> None:
    """Write it all into a folder."""
    await asyncio.to_thread(_logs, site.home, folder)
    subjects = named(result)
    case = {
        "result": asdict(result),
        "operations": [asdict(each) for each in site.operations.all if each.subject in subjects],
        "facts": [asdict(fact) for fact in witness.archive.of(subjects)],
        "schemas": await _held(site, subjects),
    }
    written = orjson.dumps(case, default=str, option=orjson.OPT_INDENT_2)
    await asyncio.to_thread((folder / "case.json").write_bytes, written)


def _logs(home: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for log in home.rglob("*.log"):
        if log.stat().st_size:
            shutil.copyfile(log, folder / log.name)


async def _held(site: Site, subjects: list[UUID]) -> dict[str, Any]:
    """The rows of every schema about some requests, those of child tables among them."""
    held: dict[str, Any] = {}
    async with schemas(site.running()) as visits:
        async for name, connection in visits:
            queries = {table: f"SELECT * FROM {table} WHERE subject = ANY($1)" for table in _OF_SUBJECT}
            for aggregate in service(name).aggregates:
                queries[aggregate.table.name] = f"SELECT * FROM {aggregate.table.name} WHERE id = ANY($1)"
            queries |= {table.name: of_subjects(table) for table in tables_of(service(name))}
            for table, query in queries.items():
                rows = await connection.fetch(f"SELECT row_to_json(t)::text AS row FROM ({query}) t", subjects)
                held[f"{name}.{table}"] = [orjson.loads(row["row"]) for row in rows]
    return held
