"""What must happen by itself: timers from each aggregate's agenda, and messages that wait (architecture, section 6)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from chassis import failpoints, telemetry
from chassis.aggregate import Aggregate
from chassis.asked import Asked, Outcome, UnknownOutcome
from chassis.database import AWAY, LOST, Database, Unavailable
from chassis.decider import Decider
from chassis.decision import SYSTEM, TimerDue
from chassis.ids import derived_id
from chassis.reading import LOCKED
from chassis.waiting import DUE, Revive, of_subject, put_off, revived

log = logging.getLogger(__name__)

_LIMIT = 500
_LONGEST_SLEEP = timedelta(seconds=1)
"""What falls due within two seconds is told by whoever writes it (`waking.soon`); what is later is found in time."""
_AGAIN_AFTER = 1.0
"""Seconds until a database that could not be asked is asked again."""
_HELD = 0.02
"""Seconds until what is due, but in another process's hands, is looked at again."""
_RETRY = tuple(timedelta(seconds=s) for s in (1, 5, 30, 300))
_NEXT = (
    "SELECT first - clock_timestamp() AS ahead, first <= statement_timestamp() AS due, "
    "ARRAY(SELECT n FROM unnest($1::text[]) AS n "
    "WHERE EXISTS (SELECT FROM wake WHERE aggregate = n AND at <= statement_timestamp())) AS timers, "
    "EXISTS (SELECT FROM waiting WHERE aggregate = ANY($2::text[]) AND next_at <= statement_timestamp()) AS waits "
    "FROM (SELECT least((SELECT min(at) FROM wake), "
    "(SELECT min(next_at) FROM waiting WHERE next_at IS NOT NULL)) AS first) AS earliest"
)
"""All of it is due by one instant, the statement's; what falls due while that runs is looked for again at once."""
_DUE = LOCKED + (
    "JOIN wake k ON r.id = k.subject WHERE k.aggregate = '{name}' AND k.at <= statement_timestamp() "
    "ORDER BY k.at LIMIT {limit} FOR UPDATE OF r SKIP LOCKED"
)
"""What is due by the statement's time: it stands still, so that the index is read no further than that."""
_LOCK = LOCKED + "WHERE r.id = $1 FOR UPDATE SKIP LOCKED"
_REST = (
    "UPDATE waiting SET next_at = clock_timestamp() + interval '30 s' "
    "WHERE aggregate = $1 AND subject = $2 AND next_at <= statement_timestamp()"
)
"""What is due first is tried first: what fails by a mistake would be first for ever."""
_LATER = "UPDATE wake SET at = clock_timestamp() + $2 WHERE subject = $1"


class Woken(Protocol):
    """Something that can be waited for: a notification of another process, at the latest after `seconds`."""

    async def wait(self, seconds: float) -> None: ...


class _Look(NamedTuple):
    """What a look found: whether something is due, else seconds until then; whose timers are, and whether a wait is."""

    due: bool
    idle: float
    timers: Sequence[str]
    waits: bool


class Agenda:
    """One process's sweep over everything of its service that is due."""

    def __init__(
        self,
        database: Database,
        deciders: Mapping[str, Decider[Any]],
        revive: Revive,
        *,
        on_outcome: Callable[[Asked, Outcome], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._deciders = deciders
        self._timed = [name for name, decider in deciders.items() if decider.aggregate.has_agenda]
        self._revive = revive
        self._on_outcome = on_outcome
        self._failures: dict[UUID, int] = {}
        self._reviving: asyncio.Task[None] | None = None
        self._ending = False
        self._bursts: set[str] = set()
        """Aggregates of which the last sweep found a whole page."""
        self.fired = 0
        self.latest = 0.0
        """Seconds that the latest sweep's first timer was late."""

    async def run(self, woken: Woken) -> None:
        """Sweep for ever, whenever something is due; a wake-up only looks when that is.

        What waits is decided beside the timers: neither many that wait nor one whose row is held make a timer late.
        """
        try:
            while True:
                await woken.wait(await self._turn())
        except asyncio.CancelledError:
            if self._reviving is not None:
                self._reviving.cancel()
            raise
        finally:
            self._ending = True
            if self._reviving is not None:
                await asyncio.gather(self._reviving, return_exceptions=True)

    async def _turn(self) -> float:
        """One look, and what is due by it; seconds until the next."""
        try:
            look = await self._look()
            if look.waits and (self._reviving is None or self._reviving.done()):
                self._reviving = asyncio.create_task(self._beside())
            found = await self._fired(look)
        except (Unavailable, *AWAY, *LOST) as error:
            log.warning("the agenda could not be swept: %s", error)
            return _AGAIN_AFTER
        return (0.0 if found else _HELD) if look.due else look.idle

    async def sweep(self) -> bool:
        """Decide what is due now: a page of each aggregate's timers, then what waits; whether anything was due."""
        look = await self._look()
        return bool(await self._fired(look) + (await self._waiting() if look.waits else 0))

    async def _look(self) -> "_Look":
        ahead, due, timers, waits = (await self._database.read(_NEXT, self._timed, list(self._deciders)))[0]
        idle = _LONGEST_SLEEP if ahead is None else min(_LONGEST_SLEEP, max(timedelta(0), ahead))
        return _Look(bool(due), idle.total_seconds(), timers, waits)

    async def _fired(self, look: "_Look") -> int:
        return sum([await self._pages(self._deciders[name]) for name in look.timers])

    async def _pages(self, decider: Decider[Any]) -> int:
        """A page of timers; of a burst two at once, so that one is decided here while PostgreSQL writes the other."""
        name = decider.aggregate.name
        pages = 2 if name in self._bursts else 1
        swept = await asyncio.gather(*(self._timers(decider) for _ in range(pages)), return_exceptions=True)
        counts = [each for each in swept if not isinstance(each, BaseException)]
        for each in swept:
            if isinstance(each, BaseException):
                raise each
        (self._bursts.add if max(counts) == _LIMIT else self._bursts.discard)(name)
        return sum(counts)

    # -- timers --------------------------------------------------------------------------------------------------

    async def _timers(self, decider: Decider[Any]) -> int:
        """Decide a page of what is due, of what no other sweep holds; the number of aggregates in it."""
        aggregate = decider.aggregate
        query = _DUE.format(table=aggregate.table.name, name=aggregate.name, limit=_LIMIT)
        rows: Sequence[asyncpg.Record] = ()
        try:
            async with self._database.begin(enable_bitmapscan="off") as connection:
                rows = await connection.fetch(query)
                if not rows:
                    return 0
                if failpoints.armed is not None:
                    await failpoints.armed.reach("agenda.locked")
                committed = await self._swept(connection, decider, rows)
            committed()
        except (Unavailable, *AWAY, *LOST):
            raise
        except Exception as error:
            if not rows:
                raise
            log.error("a page of %d timers could not be swept: %s", len(rows), error)
            for row in rows:
                await self._alone(decider, row["id"])
        return len(rows)

    async def _alone(self, decider: Decider[Any], subject: UUID) -> None:
        """Sweep one aggregate of a page that failed; the one that it failed for is looked at again later."""
        lock = _LOCK.format(table=decider.aggregate.table.name)
        try:
            async with self._database.begin() as connection:
                row = await connection.fetch(lock, subject)
                if not row:
                    return
                committed = await self._swept(connection, decider, row)
            committed()
        except (Unavailable, *AWAY, *LOST):
            raise
        except Exception:
            log.exception("the timers of %s could not be swept", subject)
            await self._database.execute(_LATER, subject, self._rest(subject))

    async def _swept(
        self, connection: Any, decider: Decider[Any], rows: Sequence[asyncpg.Record]
    ) -> Callable[[], None]:
        """Decide what is due of these rows; returns what to call when that is committed."""
        failed: set[UUID] = set()

        def retry_at(subject: UUID, now: datetime) -> datetime:
            failed.add(subject)
            return now + self._rest(subject)

        swept = await decider.sweep(
            connection,
            rows,
            lambda subject, state, now: due(decider.aggregate, subject, state, now),
            retry_at,
        )

        def committed() -> None:
            for well in {row["id"] for row in rows} - failed:
                self._failures.pop(well, None)
            self.fired += swept()

        return committed

    def _rest(self, subject: UUID) -> timedelta:
        """How long to leave alone what failed just now: longer each time, until it goes well once."""
        failures = self._failures.get(subject, 0)
        self._failures[subject] = failures + 1
        return _RETRY[min(failures, len(_RETRY) - 1)]

    # -- waiting messages ----------------------------------------------------------------------------------------

    async def _beside(self) -> None:
        """Decide a page of what waits, whatever comes of it; after an error not before a second has passed."""
        try:
            await self._waiting()
        except Exception as error:  # nobody awaits this task before the end: what is not told here is told by nobody
            expected = isinstance(error, (Unavailable, UnknownOutcome, *AWAY, *LOST))
            log.warning("what waits could not be decided: %s", error, exc_info=not expected)
            await asyncio.sleep(_AGAIN_AFTER)

    async def _waiting(self) -> int:
        """Decide a page of what waits; a request for which that fails by a mistake rests, and holds up no other."""
        due = await self._database.read(DUE, list(self._deciders), _LIMIT)
        for row in due:
            if self._ending:
                break
            try:
                await self._drain(self._deciders[row["aggregate"]], row["subject"])
            except (Unavailable, UnknownOutcome, *AWAY, *LOST):
                raise
            except Exception:  # a mistake in one request's messages, or in the code that reads them
                log.exception("what waits for %s could not be tried", row["subject"])
                await self._database.execute(_REST, row["aggregate"], row["subject"])
        return len(due)

    async def _drain(self, decider: Decider[Any], subject: UUID) -> None:
        """Decide everything that waits for one request, in its order, until one of them must wait on."""
        name = decider.aggregate.name
        rows = await of_subject(self._database, name, subject)
        batch = [revived(self._revive, row) for row in rows]
        outcomes = await decider.handle_batch(batch)
        if all(outcome.waiting for outcome in outcomes):
            await put_off(self._database, name, subject, (row["id"] for row in rows))
        if self._on_outcome is not None:
            for asked, outcome in zip(batch, outcomes, strict=True):
                await self._on_outcome(asked, outcome)


def due(aggregate: Aggregate[Any], subject: UUID, state: Any, now: datetime) -> Sequence[Asked]:
    """The entries of an agenda whose time has come, as messages in order of due time."""
    entries = sorted((at, kind, ref) for (kind, ref), at in aggregate.agenda(state).items() if at <= now)
    asked = []
    for at, kind, ref in entries:
        telemetry.AGENDA_LATENESS_SECONDS.labels(aggregate.name).observe((now - at).total_seconds())
        identifier = derived_id(subject, at, 0, f"{kind}/{ref}")
        asked.append(
            Asked(
                subject=subject,
                message=TimerDue(kind, ref, at),
                id=identifier,
                actor=SYSTEM,
                correlation_id=identifier,
                at=at,
            )
        )
    return asked
