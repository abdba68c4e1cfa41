"""Whether a schema is where this release needs it, and bringing it there."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from chassis.service import Runtime

_NAMED = re.compile(r"""^revision(?:: str)? = ["'](\w+)["']""", re.MULTILINE)
_REVISION = "SELECT version_num FROM alembic_version"


def _directory(migrations: str) -> Path:
    return Path(next(iter(import_module(migrations).__path__)))


@cache
def revisions(migrations: str) -> tuple[str, ...]:
    """Every revision of a migrations package, the newest first: files are numbered, and form one line."""
    files = sorted((_directory(migrations) / "versions").glob("[0-9]*.py"), reverse=True)
    return tuple(found[1] for file in files if (found := _NAMED.search(file.read_text(encoding="utf-8"))))


async def behind(runtime: "Runtime") -> str | None:
    """What is wrong with the database: nothing, away, or a schema older than this release. A newer one is well."""
    known = revisions(runtime.service.migrations)
    try:
        rows = await runtime.database.read(_REVISION)
    except asyncpg.UndefinedTableError:
        rows = []
    found = rows[0][0] if rows else None
    if found == known[0] or (found is not None and found not in known):
        return None
    return f"the schema is at {found or 'nothing'}, this release needs {known[0]}"


def upgrade(migrations: str, *, url: str, schema: str, role: str) -> None:
    """Migrate one schema to the head, as its owner; waits for whoever migrates it already. Needs no running loop."""
    from alembic import command  # not at the top: no process that serves needs it, and it takes half a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_directory(migrations)))
    config.attributes.update(url=url, schema=schema, role=role)
    command.upgrade(config, "head")
