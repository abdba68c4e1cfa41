"""A row folded anew from the journal, with its children and its next wake-up: after an erasure, and after a release.

`Aggregate.shape` is the version of `evolve` and `agenda`. A row keeps the lowest shape that had a part in it; rows of
an old one are folded anew in the background, a page at a time.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from chassis import applying
from chassis.aggregate import Aggregate
from chassis.applying import Filled, apply_statement, child_part, columns_of, save_part
from chassis.database import AWAY, LOST, Database, Unavailable
from chassis.reading import Reader, Wanted
from chassis.tables import CHASSIS_COLUMNS
from chassis.writing import as_carried

log = structlog.get_logger(__name__)

_FACTS = (
    "SELECT grp, recorded_at, type, version, data::text, personal::text, private::text, occurred_at FROM journal "
    "WHERE subject = $1 ORDER BY seq"
)
_OLD_SHAPE = (
    "SELECT id FROM {table} WHERE shape < $1 AND state IS NOT NULL AND id <> ALL($2::uuid[]) ORDER BY id LIMIT $3"
)
_KEPT = ("sequence", "heard", "edit_version", "blocked", "created_at")


async def refold(database: Database, aggregate: Aggregate[Any], subject: UUID) -> bool:
    """Fold an aggregate and its children anew from the journal; whether it has a row and facts here."""
    reader: Reader[Any] = Reader(aggregate)
    table = aggregate.table
    async with database.begin() as connection:
        kept = await connection.fetchrow(f"SELECT * FROM {table.name} WHERE id = $1 FOR UPDATE", subject)
        if kept is None:
            return False
        state, parts = await _folded(connection, aggregate, subject)
        if state is None:
            return False
        sql, arguments = reader.query([subject], Wanted())
        now = reader.take(await connection.fetch(sql, *arguments), [subject], Wanted()).now
        part, names = save_part(table)
        columns = aggregate.columns(state)
        values = {name: columns.get(name) for name in names[len(CHASSIS_COLUMNS) :]}
        values |= {name: kept[name] for name in _KEPT}
        values |= {"id": subject, "version": kept["version"] + 1, "shape": aggregate.shape, "state": state}
        values["changed_at"] = now
        saved = tuple(as_carried(table, name, values[name]) for name in names)
        parts = [Filled(part, columns_of([saved]), 1), *parts, _wake(aggregate, subject, state)]
        text, given = apply_statement(parts, 1, [])
        await connection.execute(text, *given)
    return True


def _wake(aggregate: Aggregate[Any], subject: UUID, state: Any) -> Filled:
    at = min(aggregate.agenda(state).values(), default=None)
    if at is None:
        return Filled(applying.SLEEP, [[subject]])
    return Filled(applying.REWAKE, columns_of([(subject, aggregate.name, at)]))


async def _folded(connection: asyncpg.Connection, aggregate: Aggregate[Any], subject: UUID) -> tuple[Any, list[Filled]]:
    state = None
    children: dict[Any, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
    for row in in_order(await connection.fetch(_FACTS, subject)):
        if not aggregate.codec.reads(row["type"], row["version"]):
            continue
        fact = aggregate.codec.decode(row["type"], row["version"], row["data"], row["personal"], row["private"])
        state = aggregate.evolve(state, fact)
        for table, child in aggregate.children(subject, state, fact, row["occurred_at"]):
            key = tuple(child[column.name] for column in table.primary_key)
            values = tuple(as_carried(table, name, child[name]) for name in child)
            children.setdefault((table, tuple(child)), {})[key] = values
    parts = [
        Filled(child_part(table, names), columns_of(list(rows.values())), len(rows))
        for (table, names), rows in children.items()
    ]
    return state, parts


def in_order(rows: list[Any]) -> list[Any]:
    """Rows of one subject, ascending by `seq`, in the order in which they were stated.

    Documents with keys of their own lie in other groups than the subject's noted facts, and numbers of two groups
    cannot be compared; the time of recording can, since nobody writes one aggregate twice at once.
    """
    if len({row["grp"] for row in rows}) < 2:
        return rows
    return sorted(rows, key=lambda row: row["recorded_at"])


class Reshaping:
    """Brings one service's rows of old shapes up to this release, so many at a time.

    A row that cannot be folded is reported once and left; its neighbours go on. Rows of a later release are left too.
    """

    def __init__(self, database: Database, aggregates: Iterable[Aggregate[Any]]) -> None:
        self._database = database
        self._aggregates = list(aggregates)
        self._left: dict[str, set[UUID]] = {}

    async def page(self, limit: int = 100) -> int:
        """Fold at most `limit` rows anew; how many were looked at, 0 when none is left. Raises Unavailable."""
        for aggregate in self._aggregates:
            left = self._left.setdefault(aggregate.name, set())
            query = _OLD_SHAPE.format(table=aggregate.table.name)
            rows = await self._database.read(query, aggregate.shape, list(left), limit)
            for (subject,) in rows:
                if not await self._reshaped(aggregate, subject):
                    left.add(subject)
            if rows:
                log.info("rows_reshaped", aggregate=aggregate.name, shape=aggregate.shape, rows=len(rows))
                return len(rows)
        return 0

    async def _reshaped(self, aggregate: Aggregate[Any], subject: UUID) -> bool:
        try:
            done = await refold(self._database, aggregate, subject)
        except (Unavailable, *AWAY, *LOST):
            raise
        except Exception:
            log.exception("row_not_reshaped", aggregate=aggregate.name, subject=str(subject))
            return False
        if not done:
            log.error("row_without_facts", aggregate=aggregate.name, subject=str(subject))
        return done
