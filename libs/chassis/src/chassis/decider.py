"""Load, decide, save, tell: the one loop that every message goes through, in batches (architecture, section 3)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from chassis.drafting import NO_CLAIMS, Drafts
from chassis.folding import Fold
from chassis.races import Lost, NotWritable, committing
from chassis.together import Together
from chassis.writing import Write, Writer

__all__ = ["Asked", "Decider", "Outcome", "Unavailable", "UnknownOutcome"]

S = TypeVar("S")
log = structlog.get_logger(__name__)

_OPTIMISTIC_TRIES = 3
_LOCKED_TRIES = 20
_TOGETHER_TRIES = 5
"""After so many losses under locks that no lock explains, the message that causes them is looked for."""

_LOCK = "SELECT id FROM {table} WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"


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
        self._drafts = Drafts(aggregate, database, documents)
        self._on_commit = on_commit
        self._together = Together(self._told_apart)

    async def handle(self, asked: Asked) -> Outcome:
        """Decide one message together with all that arrived while the last batch was being written.

        The answer follows the commit. Raises Unavailable (nothing of it was written) and UnknownOutcome.
        """
        return _certain(await self._together.handle(asked))

    async def handle_batch(self, batch: Sequence[Asked]) -> list[Outcome]:
        """Decide a batch in order and write it in one statement; outcomes stand in the order of the messages.

        Raises Unavailable when the database cannot be asked and UnknownOutcome when a write was cut off. Where a
        batch had to be written in parts, some of them may stand: the whole batch is repeated.
        """
        return [_certain(outcome) for outcome in await self._told_apart(batch)]

    async def _told_apart(self, batch: Sequence[Asked]) -> list[Outcome]:
        """The same; of a batch that is written in parts, what is not known to be written has such an error itself."""
        if not batch:
            return []
        with telemetry.deciding(self.aggregate.name, batch):
            return telemetry.decided(self.aggregate.name, batch, await self._handle(batch))

    async def _handle(self, batch: Sequence[Asked]) -> list[Outcome]:
        self.counts["batches"] += 1
        self.counts["messages"] += len(batch)
        await self._documents.refresh()
        claims = NO_CLAIMS
        for _ in range(_OPTIMISTIC_TRIES):
            try:
                outcomes = await self._optimistic(batch, claims)
            except Lost as lost:
                self.counts["lost"] += 1
                telemetry.DECIDER_LOST_RACES_TOTAL.labels(self.aggregate.name, lost.gate).inc()
                claims = await self._contested(batch, claims, lost)
                continue
            except (asyncpg.PostgresError, NotWritable) as error:
                return await self._halved(batch, error)
            if outcomes is None:
                break
            return outcomes
        return await self._locked(batch, claims)

    async def _optimistic(self, batch: Sequence[Asked], claims: frozenset[str]) -> list[Outcome] | None:
        """Two round trips and no lock; None when the facts draw numbers, which needs the locked form."""
        fold, outcomes = await self._drafts.decide(batch, await self._drafts.read(batch, claims))
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

    async def _contested(self, batch: Sequence[Asked], claims: frozenset[str], lost: Lost) -> frozenset[str]:
        """The claims of which the next read tells who holds them: after a lost one, all that the batch wants."""
        return await self._drafts.contested(batch, claims) if lost.gate == "claimed" else claims

    # -- locked --------------------------------------------------------------------------------------------------

    async def _locked(self, batch: Sequence[Asked], claims: frozenset[str], *, skip: bool = True) -> list[Outcome]:
        """The same under row locks: first (`skip`) those that are free, then, waiting for them, the rest."""
        why = Lost("")
        for attempt in range(_LOCKED_TRIES):
            self.counts["locked"] += 1
            try:
                outcomes = await self._locked_round(batch, claims, skip=skip and attempt == 0)
            except Lost as lost:
                why = lost
                if attempt + 1 >= _TOGETHER_TRIES and len(batch) > 1 and not lost.passes:
                    break
                claims = await self._contested(batch, claims, lost)
                await asyncio.sleep(0.005 * attempt)
                continue
            except (asyncpg.PostgresError, NotWritable) as error:
                return await self._halved(batch, error)
            busy = [asked for asked, outcome in zip(batch, outcomes, strict=True) if outcome is None]
            late = iter(await self._rest(busy, self._locked(busy, claims, skip=False)) if busy else ())
            return [next(late) if outcome is None else outcome for outcome in outcomes]
        if why.passes:
            raise Unavailable(f"others come first again and again: {why}")
        return await self._halved(batch, why)

    async def _locked_round(
        self, batch: Sequence[Asked], claims: frozenset[str], *, skip: bool
    ) -> list[Outcome | None]:
        """Decide and write what can be locked; None for each message whose row is somebody else's."""
        with committing() as sent:
            async with self._database.begin() as connection:
                subjects = sorted({asked.subject for asked in batch})
                lock = _LOCK.format(table=self.aggregate.table.name) + (" SKIP LOCKED" if skip else "")
                held = {row["id"] for row in await connection.fetch(lock, subjects)}
                reading = await self._drafts.read(batch, claims, connection)
                busy = {subject for subject, row in reading.rows.items() if row.exists and subject not in held}
                mine = [asked for asked in batch if asked.subject not in busy]
                fold, outcomes = await self._drafts.numbered(connection, mine, reading)
                write = self._write(fold)
                if write.facts or write.arguments:
                    await connection.execute(write.sql, *write.arguments)
                if failpoints.armed is not None:
                    await failpoints.armed.reach("commit.before")
                sent.done = True
        if failpoints.armed is not None:
            await failpoints.armed.reach("commit.after")
        self._written(write)
        decided = iter(outcomes)
        return [None if asked.subject in busy else next(decided) for asked in batch]

    @staticmethod
    async def _rest(batch: Sequence[Asked], deciding: Awaitable[list[Outcome]]) -> list[Outcome]:
        """The outcomes of a part of a batch whose other part is written: each message has its own, whatever comes."""
        try:
            return await deciding
        except (Unavailable, UnknownOutcome) as error:
            return [Outcome(asked.subject, error=error) for asked in batch]

    # -- sweeps --------------------------------------------------------------------------------------------------

    async def sweep(
        self,
        connection: asyncpg.Connection,
        locked: Sequence[asyncpg.Record],
        messages: Callable[[UUID, S, datetime], Sequence[Asked]],
        retry_at: Callable[[UUID, datetime], datetime],
    ) -> Callable[[], int]:
        """Decide what is due for aggregates whose rows `connection` locked as it read them.

        Returns what to call when that is committed, and not before: it wakes who waits for it, and gives the number of
        messages. An aggregate with a message that failed is looked at again at `retry_at`, and not before.
        """
        await self._documents.refresh()
        reading = self._drafts.locked(locked)
        subjects = sorted(reading.rows)
        batch = [
            asked
            for subject in subjects
            if (state := reading.rows[subject].state) is not None
            for asked in messages(subject, state, reading.now)
        ]
        batch.sort(key=lambda asked: asked.made_at())
        reading = await self._drafts.completed(connection, batch, reading)
        fold, outcomes = await self._drafts.numbered(connection, batch, reading)
        failed = {o.subject for o in outcomes if o.error is not None or o.refused is not None}
        failed |= {subject for subject in subjects if fold.entries[subject].was.broken is not None}
        swept: Mapping[UUID, datetime | None] = {
            subject: retry_at(subject, reading.now) if subject in failed else None for subject in subjects
        }
        write = self._write(fold, swept=swept)
        try:
            await connection.execute(write.sql, *write.arguments)
        except asyncpg.UniqueViolationError as error:  # nobody decides it anew here, so it is not a race to be lost
            raise NotWritable(str(error)) from error
        if failpoints.armed is not None:
            await failpoints.armed.reach("agenda.swept")

        def committed() -> int:
            self._written(write)
            telemetry.decided(self.aggregate.name, batch, outcomes)
            return len(batch)

        return committed

    # -- faults --------------------------------------------------------------------------------------------------

    async def _halved(self, batch: Sequence[Asked], error: Exception) -> list[Outcome]:
        """Find the message that cannot be written: everybody else's is."""
        log.error("batch_not_written", messages=len(batch), subject=str(batch[0].subject), error=str(error))
        if len(batch) == 1:
            return [await self._failed(batch[0], error)]
        middle = len(batch) // 2
        first, second = await self._handle(batch[:middle]), batch[middle:]
        for outcome in first:
            if isinstance(outcome.error, Unavailable | UnknownOutcome):
                return [*first, *(Outcome(asked.subject, error=outcome.error) for asked in second)]
        waits = [each for each, o in zip(batch, first, strict=False) if o.waiting and each.stream and not each.reply_to]
        for asked in (each for each in second if each.waiting_id is not None):
            asked.behind += tuple(each for each in waits if each.subject == asked.subject)
        return [*first, *await self._rest(second, self._handle(second))]

    async def _failed(self, asked: Asked, error: Exception) -> Outcome:
        """Let the one message that cannot be written wait; a caller is answered with the error."""
        if asked.record is None and asked.waiting_id is None:
            return Outcome(asked.subject, error=error)
        for _ in range(_OPTIMISTIC_TRIES):
            fold: Fold[S] = Fold(self.aggregate, self._documents, await self._drafts.read([asked]))
            outcome = fold.fail(asked, error)
            try:
                await self._commit(self._write(fold))
            except Lost:
                continue
            return outcome
        raise Unavailable(f"others come first again and again: {error}")


def _certain(outcome: Outcome) -> Outcome:
    """The outcome, of which it is known whether it was written; raises what says that it is not."""
    if isinstance(outcome.error, Unavailable | UnknownOutcome):
        raise outcome.error
    return outcome
