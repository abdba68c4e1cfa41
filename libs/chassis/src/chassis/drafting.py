"""A batch read and decided, and nothing of it written yet: the first half of what the decider does."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import asyncpg

from chassis import drawing, failpoints
from chassis.aggregate import Aggregate
from chassis.asked import Asked, Outcome
from chassis.database import Database
from chassis.documents import Documents
from chassis.folding import Fold
from chassis.races import NotWritable
from chassis.reading import Reader, Reading, Wanted, wanted_by

S = TypeVar("S")

NO_CLAIMS: frozenset[str] = frozenset()


class Drafts(Generic[S]):
    """Reads what a batch needs and decides it, as often as it must be done anew."""

    def __init__(self, aggregate: Aggregate[S], database: Database, documents: Documents) -> None:
        self._aggregate = aggregate
        self._database = database
        self._documents = documents
        self._reader = Reader(aggregate)

    async def read(
        self, batch: Sequence[Asked], claims: frozenset[str] = NO_CLAIMS, connection: asyncpg.Connection | None = None
    ) -> Reading[S]:
        """What the messages need, with who holds these claims; by `connection` when it has locked the rows."""
        subjects, wanted = sorted({asked.subject for asked in batch}), self._wanted(batch, claims)
        sql, arguments = self._reader.query(subjects, wanted)
        fetch = self._database.read if connection is None else connection.fetch
        return self._reader.take(await fetch(sql, *arguments), subjects, wanted)

    def locked(self, records: Sequence[asyncpg.Record]) -> Reading[S]:
        """Rows that a sweep read as it locked them; at least one."""
        return self._reader.locked(records)

    async def completed(
        self, connection: asyncpg.Connection, batch: Sequence[Asked], reading: Reading[S]
    ) -> Reading[S]:
        """A reading of rows alone with what else the messages need, where they need anything."""
        wanted = self._wanted(batch, NO_CLAIMS)
        if not (wanted.documents or wanted.own or wanted.numbers):
            return reading
        subjects = sorted({*reading.rows, *(asked.subject for asked in batch)})
        sql, arguments = self._reader.query(subjects, wanted)
        return self._reader.take(await connection.fetch(sql, *arguments), subjects, wanted)

    def _wanted(self, batch: Sequence[Asked], claims: frozenset[str]) -> Wanted:
        documents = self._documents
        return wanted_by(self._aggregate, batch, documents.is_cached, documents.own_tables, claims)

    async def decide(self, batch: Sequence[Asked], reading: Reading[S]) -> tuple[Fold[S], list[Outcome]]:
        """Decide it, again and again while the messages look for documents that were not read yet."""
        fold, outcomes = self._decide(batch, reading)
        sought: set[tuple[str, str]] = set()
        while missed := sorted(set(fold.missed) - sought):  # what is found may name more
            sought.update(missed)
            found = await self._documents.fetch(missed)
            if not found:
                break
            reading.documents.update(found)
            fold, outcomes = self._decide(batch, reading)
        if failpoints.armed is not None:
            await failpoints.armed.reach("batch.decided")
        return fold, outcomes

    async def numbered(
        self, connection: asyncpg.Connection, batch: Sequence[Asked], reading: Reading[S]
    ) -> tuple[Fold[S], list[Outcome]]:
        """Decide, then draw the numbers that the facts ask for, and decide again with them.

        Raises NotWritable when a number was drawn that no fact bears: the series would have a gap.
        """
        fold, outcomes = await self.decide(batch, reading)
        asked = fold.draws.asked
        if asked:
            fold, outcomes = self._decide(batch, reading, await drawing.drawn(connection, asked))
            if fold.draws.asked != asked:
                raise NotWritable("a message fails once its facts have their numbers")
        return fold, outcomes

    def _decide(
        self, batch: Sequence[Asked], reading: Reading[S], drawn: Mapping[str, Sequence[int]] | None = None
    ) -> tuple[Fold[S], list[Outcome]]:
        fold = Fold(self._aggregate, self._documents, reading, drawn)
        outcomes = [fold.take(asked) for asked in batch]
        fold.unblock({asked.subject for asked in batch if asked.waiting_id is not None and asked.is_fact})
        return fold, outcomes

    async def contested(self, batch: Sequence[Asked], claims: frozenset[str]) -> frozenset[str]:
        """The claims that the batch takes, knowing who holds `claims`: one of them was lost."""
        fold, _ = await self.decide(batch, await self.read(batch, claims))
        return claims | frozenset(fold.claims.taken)
