"""Whether a schema is where this release needs it, and bringing it there."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from chassis.service import Runtime

_REVISION = "SELECT version_num FROM alembic_version"


def _config(migrations: str) -> Config:
    config = Config()
    found = import_module(migrations).__path__
    config.set_main_option("script_location", str(Path(next(iter(found)))))
    return config


@cache
def revisions(migrations: str) -> tuple[str, ...]:
    """Every revision of a migrations package, the newest first."""
    script = ScriptDirectory.from_config(_config(migrations))
    return tuple(revision.revision for revision in script.walk_revisions())


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
    config = _config(migrations)
    config.attributes.update(url=url, schema=schema, role=role)
    command.upgrade(config, "head")
