"""Erasing a person: what the contract marks as personal vanishes from the journal, the states and the read models.

The tombstone of a contact or a person is the order; every service carries it out for itself. The journal loses its
personal columns and what private text it holds, then each aggregate that names the person is folded anew from what is
left. Counts, numbers, times and invoices stay. Complete when the retention of topics and backups has passed
(architecture, section 4).
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from chassis.applying import Filled, apply_statement, child_part, columns_of, save_part
from chassis.database import AWAY, LOST, Database, Unavailable
from chassis.decider import Decider
from chassis.reading import Reader, Wanted
from chassis.tables import CHASSIS_COLUMNS
from chassis.writing import as_carried

log = structlog.get_logger(__name__)

_EVERY = 1.0
_BECOME_ERASER = "SELECT set_config('role', rolname, true) FROM pg_roles WHERE rolname = current_schema() || '_eraser'"
_DUE = (
    "SELECT kind, id FROM documents WHERE doc IS NULL AND kind IN ('contact', 'person') AND (erased_at IS NULL "
    "OR (erased_at < clock_timestamp() - interval '1 hour' AND changed_at > clock_timestamp() - interval '15 days')) "
    "LIMIT 20"
)
"""Everybody is looked at again for a while: a fact about a person may come after the person's document ended."""
_JOURNAL = (
    "UPDATE journal SET personal = NULL, command = NULL "
    "WHERE persons @> ARRAY[$1::uuid] AND num_nonnulls(personal, command) > 0"
)
_PRIVATE = (
    "SELECT grp, seq, recorded_at, type, version, private::text AS private FROM journal "
    "WHERE persons @> ARRAY[$1::uuid] AND private IS NOT NULL"
)
_PRIVATE_LESS = "UPDATE journal SET private = $4::json WHERE grp = $1 AND seq = $2 AND recorded_at = $3"
_NAMED = "SELECT DISTINCT subject FROM journal WHERE persons @> ARRAY[$1::uuid]"
_FACTS = (
    "SELECT type, version, data::text, personal::text, private::text, occurred_at FROM journal "
    "WHERE subject = $1 ORDER BY seq"
)
_REST = (
    "UPDATE message_ids SET answer = '{}' WHERE subject = ANY($1::uuid[]) AND answer IS NOT NULL",
    "UPDATE dead_letters SET value = NULL, headers = NULL WHERE subject = ANY($1::uuid[])",
)
_DONE = "UPDATE documents SET erased_at = clock_timestamp() WHERE kind = $1 AND id = $2 AND doc IS NULL"


class Eraser:
    """Carries out the tombstones that one service knows."""

    def __init__(self, database: Database, deciders: Mapping[str, Decider[Any]]) -> None:
        self._database = database
        self._deciders = deciders

    async def run(self, stopping: asyncio.Event) -> None:
        """Look for tombstones until told to stop; a failure is tried again."""
        while not stopping.is_set():
            try:
                await self.step()
            except (Unavailable, *AWAY, *LOST) as error:
                log.warning("not_erased_yet", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _EVERY)

    async def step(self) -> int:
        """Erase whoever is due; how many that were."""
        due = await self._database.read(_DUE)
        for kind, key in due:
            subjects = await self.erase(UUID(key))
            await self._database.execute(_DONE, kind, key)
            log.info("erased", kind=kind, id=key, subjects=len(subjects))
        return len(due)

    async def erase(self, person: UUID) -> list[UUID]:
        """Take one person's data out of this schema; the subjects that named them. May be repeated."""
        async with self._database.begin() as connection:
            await connection.execute(_BECOME_ERASER)
            await connection.execute(_JOURNAL, person)
            for row in await connection.fetch(_PRIVATE, person):
                less = self._without_text(row)
                if less != row["private"]:
                    await connection.execute(_PRIVATE_LESS, row["grp"], row["seq"], row["recorded_at"], less)
        subjects = sorted(row[0] for row in await self._database.read(_NAMED, person))
        for subject in subjects:
            for decider in self._deciders.values():
                await self._refold(decider, subject)
        for statement in _REST:
            await self._database.execute(statement, subjects)
        return subjects

    def _without_text(self, row: asyncpg.Record) -> str | None:
        """The private column without free text; nothing at all for a fact that no codec here reads."""
        for decider in self._deciders.values():
            codec = decider.aggregate.codec
            if codec.reads(row["type"], row["version"]):
                return codec.erased(row["type"], row["version"], row["private"]) or row["private"]
        return None

    async def _refold(self, decider: Decider[Any], subject: UUID) -> None:
        """Fold an aggregate and its children anew from the journal, if it has a row here."""
        aggregate = decider.aggregate
        reader: Reader[Any] = Reader(aggregate)
        async with self._database.begin() as connection:
            lock = f"SELECT version FROM {aggregate.table.name} WHERE id = $1 FOR UPDATE"
            if await connection.fetchval(lock, subject) is None:
                return
            sql, arguments = reader.query([subject], Wanted())
            reading = reader.take(await connection.fetch(sql, *arguments), [subject], Wanted())
            row = reading.rows[subject]
            state, parts = await self._folded(connection, decider, subject)
            if state is None:
                return
            columns = aggregate.columns(state)
            (kept,) = await connection.fetch(f"SELECT * FROM {aggregate.table.name} WHERE id = $1", subject)
            part, names = save_part(aggregate.table)
            values = {name: columns.get(name) for name in names[len(CHASSIS_COLUMNS) :]}
            values |= {name: kept[name] for name in ("sequence", "heard", "edit_version", "blocked", "created_at")}
            values |= {"id": subject, "version": row.version + 1, "shape": aggregate.shape, "state": state}
            values["changed_at"] = reading.now
            saved = tuple(as_carried(aggregate.table, name, values[name]) for name in names)
            text, given = apply_statement([Filled(part, columns_of([saved]), 1), *parts], 1, [])
            await connection.execute(text, *given)

    @staticmethod
    async def _folded(connection: asyncpg.Connection, decider: Decider[Any], subject: UUID) -> tuple[Any, list[Filled]]:
        aggregate, state = decider.aggregate, None
        children: dict[Any, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
        for row in await connection.fetch(_FACTS, subject):
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
