"""Load, decide, save, tell: the one loop that every message goes through, in batches (architecture, section 3)."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg
import structlog

from chassis import failpoints, telemetry
from chassis.aggregate import Aggregate
from chassis.asked import Asked, Outcome, UnknownOutcome
from chassis.database import Database, Unavailable
from chassis.documents import Documents
from chassis.folding import Fold
from chassis.races import Lost, NotWritable, committing
from chassis.reading import Reader, Reading, Wanted, wanted_by
from chassis.together import Together
from chassis.writing import Write, Writer

__all__ = ["Asked", "Decider", "Outcome", "Unavailable", "UnknownOutcome"]

S = TypeVar("S")
log = structlog.get_logger(__name__)

_OPTIMISTIC_TRIES = 3
_LOCKED_TRIES = 20

_LOCK = "SELECT id FROM {table} WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"
_DRAW = (
    "INSERT INTO series AS s (name, last) VALUES ($1, $2) "
    "ON CONFLICT (name) DO UPDATE SET last = s.last + excluded.last RETURNING last"
)


class Decider(Generic[S]):
    """Decides the messages of one aggregate, for HTTP callers, Kafka batches and sweeps alike.

    `on_commit(facts, wakes)` is called after every commit that wrote facts, or made something due within two seconds.
    """

    def __init__(
        self,
        aggregate: Aggregate[S],
        database: Database,
        documents: Documents,
        writer: Writer,
        on_commit: Callable[[bool, bool], None] = lambda facts, wakes: None,
    ) -> None:
        self.aggregate = aggregate
        self.counts: Counter[str] = Counter()
        """batches, messages, facts, lost, locked: what the metrics read."""
        self._database = database
        self._documents = documents
        self._writer = writer
        self._reader = Reader(aggregate)
        self._on_commit = on_commit
        self._together = Together(self.handle_batch)

    async def handle(self, asked: Asked) -> Outcome:
        """Decide one message together with all that arrived while the last batch was being written.

        The answer follows the commit. Raises Unavailable (nothing written) and UnknownOutcome.
        """
        return await self._together.handle(asked)

    async def handle_batch(self, batch: Sequence[Asked]) -> list[Outcome]:
        """Decide a batch in order and write it in one statement; outcomes stand in the order of the messages.

        Raises Unavailable when the database cannot be asked and UnknownOutcome when a write was cut off.
        """
        if not batch:
            return []
        with telemetry.deciding(self.aggregate.name, batch):
            return telemetry.decided(self.aggregate.name, batch, await self._handle(batch))

    async def _handle(self, batch: Sequence[Asked]) -> list[Outcome]:
        self.counts["batches"] += 1
        self.counts["messages"] += len(batch)
        await self._documents.refresh()
        claims: frozenset[str] = frozenset()
        for _ in range(_OPTIMISTIC_TRIES):
            try:
                outcomes = await self._optimistic(batch, claims)
            except Lost as lost:
                self.counts["lost"] += 1
                telemetry.DECIDER_LOST_RACES_TOTAL.labels(self.aggregate.name, lost.gate).inc()
                claims |= await self._contested(batch, lost)
                continue
            except (asyncpg.PostgresError, NotWritable) as error:
                return await self._halved(batch, error)
            if outcomes is None:
                break
            return outcomes
        return await self._locked(batch, claims)

    async def _read(self, batch: Sequence[Asked], claims: frozenset[str]) -> Reading[S]:
        subjects, wanted = self._wanted(batch, claims)
        sql, arguments = self._reader.query(subjects, wanted)
        return self._reader.take(await self._database.read(sql, *arguments), subjects, wanted)

    def _wanted(self, batch: Sequence[Asked], claims: frozenset[str]) -> tuple[list[UUID], Wanted]:
        subjects = sorted({asked.subject for asked in batch})
        documents = self._documents
        return subjects, wanted_by(self.aggregate, batch, documents.is_cached, documents.own_tables, claims)

    async def _fold(self, batch: Sequence[Asked], reading: Reading[S]) -> tuple[Fold[S], list[Outcome]]:
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

    def _decide(
        self, batch: Sequence[Asked], reading: Reading[S], drawn: dict[str, list[int]] | None = None
    ) -> tuple[Fold[S], list[Outcome]]:
        fold = Fold(self.aggregate, self._documents, reading, drawn)
        outcomes = [fold.take(asked) for asked in batch]
        fold.unblock({asked.subject for asked in batch if asked.waiting_id is not None and asked.stream is not None})
        return fold, outcomes

    async def _optimistic(self, batch: Sequence[Asked], claims: frozenset[str]) -> list[Outcome] | None:
        """Two round trips and no lock; None when the facts draw numbers, which needs the locked form."""
        reading = await self._read(batch, claims)
        fold, outcomes = await self._fold(batch, reading)
        if fold.draws.asked:
            return None
        write = self._write(fold)
        if write.facts or write.arguments:
            await self._commit(write)
        return outcomes

    def _write(self, fold: Fold[S], **swept: Mapping[UUID, datetime | None]) -> Write:
        """The statement of a fold. Raises NotWritable when something in it has no place in the tables."""
        try:
            return self._writer.write(fold, **swept)
        except Exception as error:
            raise NotWritable(f"{type(error).__name__}: {error}") from error

    async def _commit(self, write: Write) -> None:
        with committing() as sent:
            async with (await self._database.writes()).acquire() as connection:
                if failpoints.armed is not None:
                    await failpoints.armed.reach("commit.before")
                sent.done = True
                await connection.execute(write.sql, *write.arguments)
        if failpoints.armed is not None:
            await failpoints.armed.reach("commit.after")
        self._written(write)

    def _written(self, write: Write) -> None:
        self.counts["facts"] += write.facts
        telemetry.stated(self.aggregate.name, write.stated)
        for kind, key, _, doc in write.documents:
            self._documents.put(kind, key, doc)
        if write.facts or write.wakes:
            self._on_commit(bool(write.facts), write.wakes)

    async def _contested(self, batch: Sequence[Asked], lost: Lost) -> frozenset[str]:
        """The claims that the batch wanted, so that the next read tells who holds them."""
        if lost.gate != "claimed":
            return frozenset()
        fold, _ = self._decide(batch, await self._read(batch, frozenset()))
        return frozenset(fold.claims()[0])

    # -- locked --------------------------------------------------------------------------------------------------

    async def _locked(self, batch: Sequence[Asked], claims: frozenset[str]) -> list[Outcome]:
        """The same under row locks: first those that are free, then, waiting for them, the rest."""
        outcomes: dict[int, Outcome] = {}
        rest: Sequence[tuple[int, Asked]] = list(enumerate(batch))
        for attempt in range(_LOCKED_TRIES):
            self.counts["locked"] += 1
            try:
                done, rest = await self._locked_round(rest, claims, skip=attempt == 0)
            except Lost as lost:
                claims |= await self._contested([asked for _, asked in rest], lost)
                await asyncio.sleep(0.005 * attempt)
                continue
            except (asyncpg.PostgresError, NotWritable) as error:
                done = dict(zip((n for n, _ in rest), await self._halved([a for _, a in rest], error), strict=True))
                rest = []
            outcomes |= done
            if not rest:
                return [outcomes[n] for n in range(len(batch))]
        raise Unavailable("its rows stay locked")

    async def _locked_round(
        self, rest: Sequence[tuple[int, Asked]], claims: frozenset[str], *, skip: bool
    ) -> tuple[dict[int, Outcome], list[tuple[int, Asked]]]:
        batch = [asked for _, asked in rest]
        with committing() as sent:
            async with self._database.begin() as connection:
                subjects, wanted = self._wanted(batch, claims)
                lock = _LOCK.format(table=self.aggregate.table.name) + (" SKIP LOCKED" if skip else "")
                held = {row["id"] for row in await connection.fetch(lock, subjects)}
                sql, arguments = self._reader.query(subjects, wanted)
                reading = self._reader.take(await connection.fetch(sql, *arguments), subjects, wanted)
                busy = {subject for subject, row in reading.rows.items() if row.exists and subject not in held}
                mine = [asked for asked in batch if asked.subject not in busy]
                fold, outcomes = await self._numbered(connection, mine, reading)
                write = self._write(fold)
                if write.facts or write.arguments:
                    await connection.execute(write.sql, *write.arguments)
                if failpoints.armed is not None:
                    await failpoints.armed.reach("commit.before")
                sent.done = True
        if failpoints.armed is not None:
            await failpoints.armed.reach("commit.after")
        self._written(write)
        places = [n for n, asked in rest if asked.subject not in busy]
        left = [(n, asked) for n, asked in rest if asked.subject in busy]
        return dict(zip(places, outcomes, strict=True)), left

    async def _numbered(
        self, connection: asyncpg.Connection, batch: Sequence[Asked], reading: Reading[S]
    ) -> tuple[Fold[S], list[Outcome]]:
        """Decide, then draw the numbers that the facts ask for, and decide again with them."""
        fold, outcomes = await self._fold(batch, reading)
        if not fold.draws.asked:
            return fold, outcomes
        drawn: dict[str, list[int]] = {}
        for series, count in sorted(fold.draws.asked.items()):
            last = await connection.fetchval(_DRAW, series, count)
            drawn[series] = list(range(last - count + 1, last + 1))
        return self._decide(batch, reading, drawn)

    # -- sweeps --------------------------------------------------------------------------------------------------

    async def sweep(
        self,
        connection: asyncpg.Connection,
        locked: Sequence[asyncpg.Record],
        messages: Callable[[UUID, S, datetime], Sequence[Asked]],
        retry_at: Callable[[UUID, datetime], datetime],
    ) -> int:
        """Decide what is due for aggregates whose rows `connection` locked as it read them; the number of messages.

        An aggregate with a message that failed is looked at again at `retry_at`, and not before.
        """
        await self._documents.refresh()
        reading = self._reader.locked(locked)
        subjects = sorted(reading.rows)
        batch = [
            asked
            for subject in subjects
            if (state := reading.rows[subject].state) is not None
            for asked in messages(subject, state, reading.now)
        ]
        batch.sort(key=lambda asked: asked.made_at())
        subjects_, wanted = self._wanted(batch, frozenset())
        if wanted.documents or wanted.own or wanted.numbers:
            everything = sorted({*subjects, *subjects_})
            sql, arguments = self._reader.query(everything, wanted)
            reading = self._reader.take(await connection.fetch(sql, *arguments), everything, wanted)
        fold, outcomes = await self._numbered(connection, batch, reading)
        failed = {o.subject for o in outcomes if o.error is not None or o.refused is not None}
        failed |= {subject for subject in subjects if fold.entries[subject].was.broken is not None}
        swept: Mapping[UUID, datetime | None] = {
            subject: retry_at(subject, reading.now) if subject in failed else None for subject in subjects
        }
        write = self._write(fold, swept=swept)
        await connection.execute(write.sql, *write.arguments)
        if failpoints.armed is not None:
            await failpoints.armed.reach("agenda.swept")
        self._written(write)
        telemetry.decided(self.aggregate.name, batch, outcomes)
        return len(batch)

    # -- faults --------------------------------------------------------------------------------------------------

    async def _halved(self, batch: Sequence[Asked], error: Exception) -> list[Outcome]:
        """Find the message that cannot be written: everybody else's is."""
        log.error("batch_not_written", messages=len(batch), subject=str(batch[0].subject), error=str(error))
        if len(batch) > 1:
            middle = len(batch) // 2
            return [*await self._handle(batch[:middle]), *await self._handle(batch[middle:])]
        asked = batch[0]
        if asked.record is None and asked.waiting_id is None:
            return [Outcome(asked.subject, error=error)]
        fold: Fold[S] = Fold(self.aggregate, self._documents, await self._read(batch, frozenset()))
        outcome = fold.fail(asked, error)
        await self._commit(self._write(fold))
        return [outcome]
