"""Erasing a person: what the contract marks as personal vanishes from the journal, the states and the read models.

The tombstone of a contact or a person is the order; every service carries it out for itself. The journal loses its
personal columns and what private text it holds, then each aggregate that names the person is folded anew from what is
left. Counts, numbers, times and invoices stay. Complete when the retention of topics and backups has passed
(architecture, section 4).
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from chassis import waiting
from chassis.blanking import blanked
from chassis.database import AWAY, LOST, Database, Unavailable
from chassis.decider import Decider
from chassis.refolding import refold

log = structlog.get_logger(__name__)

_EVERY = 5.0
_BECOME_ERASER = "SELECT set_config('role', rolname, true) FROM pg_roles WHERE rolname = current_schema() || '_eraser'"
_DUE = (
    "SELECT kind, id FROM ((SELECT kind, id FROM documents WHERE doc IS NULL AND erased_at IS NULL "
    "AND kind IN ('contact', 'person') AND id <> ALL($1::text[]) ORDER BY kind, id LIMIT 20) "
    "UNION ALL (SELECT kind, id FROM documents WHERE doc IS NULL AND erased_at < statement_timestamp() - "
    "interval '1 hour' AND changed_at > statement_timestamp() - interval '15 days' "
    "AND kind IN ('contact', 'person') AND id <> ALL($1::text[]) LIMIT 20)) d LIMIT 20"
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
_ANSWERS = "UPDATE message_ids SET answer = '{}' WHERE subject = ANY($1::uuid[]) AND answer IS NOT NULL"
_LETTERS = (
    "UPDATE dead_letters SET value = NULL, headers = NULL WHERE num_nonnulls(value, headers) > 0 "
    "AND (subject = ANY($1::uuid[]) OR position(convert_to($2, 'UTF8') IN value) > 0)"
)
_WAITING = (
    "SELECT id, kind, headers, record FROM waiting WHERE record IS NOT NULL "
    "AND (subject = ANY($1::uuid[]) OR position(convert_to($2, 'UTF8') IN record) > 0)"
)
_WAITING_LESS = "UPDATE waiting SET record = $2 WHERE id = $1"
_DONE = "UPDATE documents SET erased_at = clock_timestamp() WHERE kind = $1 AND id = $2 AND doc IS NULL"


class Eraser:
    """Carries out the tombstones that one service knows."""

    def __init__(self, database: Database, deciders: Mapping[str, Decider[Any]]) -> None:
        self._database = database
        self._deciders = deciders
        self._failed: set[str] = set()

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
        """Erase whoever is due; how many that were. One who cannot be is reported and left to the next process."""
        due = await self._database.read(_DUE, list(self._failed))
        done = 0
        for kind, key in due:
            try:
                subjects = await self.erase(UUID(key))
                await self._database.execute(_DONE, kind, key)
            except (Unavailable, *AWAY, *LOST):
                raise
            except Exception:
                self._failed.add(key)
                log.exception("not_erased", kind=kind, id=key)
                continue
            done += 1
            log.info("erased", kind=kind, id=key, subjects=len(subjects))
        return done

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
                await refold(self._database, decider.aggregate, subject)
        about = sorted({*subjects, person})
        await self._database.execute(_ANSWERS, about)
        await self._database.execute(_LETTERS, about, str(person))
        await self._waiting(about, person)
        return subjects

    async def _waiting(self, about: Sequence[UUID], person: UUID) -> None:
        """Take the personal fields out of messages that wait; they are decided without them, or refused.

        A fact that cannot be read by this release keeps nothing but its place: somebody has to let it go. (A command
        was read when it came; should one be unreadable now, it is reported.)
        """
        for row in await self._database.read(_WAITING, about, str(person)):
            record = blanked(waiting.headers(dict(row)) or (), row["record"])
            if record is None and row["kind"] == "command":
                log.error("waiting_command_not_erased", id=row["id"])
                continue
            await self._database.execute(_WAITING_LESS, row["id"], record or b"{}")

    def _without_text(self, row: asyncpg.Record) -> str | None:
        """The private column without free text; nothing at all for a fact that no codec here reads."""
        for decider in self._deciders.values():
            codec = decider.aggregate.codec
            if codec.reads(row["type"], row["version"]):
                return codec.erased(row["type"], row["version"], row["private"]) or row["private"]
        return None
