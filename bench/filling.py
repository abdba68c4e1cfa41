"""Tables filled by SQL with copies of one real row: millions in seconds, their indexes made when all rows are there."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

_COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped "
    "ORDER BY attnum"
)
_INDEXES = (
    "SELECT i.indexrelid::regclass::text AS name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS made "
    "FROM pg_index i WHERE i.indrelid = ANY($1::text[]::regclass[]) AND NOT i.indisprimary"
)
_SESSION = "SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 0"


@dataclass(frozen=True)
class Fill:
    """Copies of one row of a table (`schema.name`), as SQL: some values differ with the copy's number `n`.

    With `made` nothing is copied: the values are whole rows.
    """

    table: str
    values: Mapping[str, str] = field(default_factory=dict)
    copied: str = ""
    """Which row: what stands behind FROM."""
    made: bool = False

    async def insert(self, connection: asyncpg.Connection, first: int, last: int) -> None:
        """Write the copies with these numbers; LookupError when there is no row to copy."""
        names = [row[0] for row in await connection.fetch(_COLUMNS, self.table)]
        names = [name for name in names if not self.made or name in self.values]
        said = ", ".join(self.values.get(name, f'one."{name}"') for name in names)
        one = "" if self.made else f"(SELECT * FROM {self.table} {self.copied} LIMIT 1) one, "
        quoted = ", ".join(f'"{name}"' for name in names)
        told = await connection.execute(
            f"INSERT INTO {self.table} ({quoted}) SELECT {said} FROM {one}generate_series({first}, {last}) n",
            timeout=900,
        )
        if int(told.split()[-1]) != last - first + 1:
            raise LookupError(f"{self.table} has no row to copy")


def filled_id(number: str) -> str:
    """The id of the copy with this number, as SQL."""
    return f"('00000000-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid"


async def fill(url: str, fills: Sequence[Fill], first: int, last: int) -> None:
    """Write all copies with these numbers, one table after the other, and let the planner know."""
    connection = await asyncpg.connect(url, command_timeout=900)
    try:
        await connection.execute(_SESSION)
        async with _without_indexes(connection, [one.table for one in fills]):
            for one in fills:
                await one.insert(connection, first, last)
        for one in fills:
            await connection.execute(f"VACUUM (ANALYZE) {one.table}")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


@asynccontextmanager
async def _without_indexes(connection: asyncpg.Connection, tables: Sequence[str]) -> AsyncIterator[None]:
    """Indexes but for primary keys are dropped, and made again at the end."""
    indexes = await connection.fetch(_INDEXES, tables)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    for index in indexes:
        await connection.execute(index["made"])
