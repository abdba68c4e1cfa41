"""Waiting for what is on its way: `Throughline-Position` names a fact to be heard first, `Prefer: wait` a time."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from chassis.aggregate import Aggregate
from chassis.database import Database
from chassis.problems import Problem

if TYPE_CHECKING:
    from chassis.service import Service

MOST_SECONDS = 10.0
MOST_WAITING = 500
"""So many callers of a process wait at once; whoever comes beyond is answered at once that it is not there yet."""
_USUAL_SECONDS = 5.0
_EVERY = 0.05
"""Seconds between two looks at what is waited for."""
_POSITION = re.compile(r"^([a-z]+)\.([a-z.-]+)/([0-9a-f-]{36})@(\d{1,18})$")
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)
_TOLD_OR_HEARD = (
    "SELECT u.n FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS u(id, topic, sequence, n) "
    "JOIN {table} t ON t.id = u.id WHERE u.sequence <= greatest((t.heard ->> u.topic)::bigint, "
    "CASE WHEN u.topic = '{topic}' THEN t.sequence END)"
)
_KEPT = (
    "SELECT u.n FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS u(kind, id, sequence, n) "
    "JOIN documents d ON d.kind = u.kind AND d.id = u.id WHERE d.sequence >= u.sequence"
)


def position(aggregate: Aggregate[Any], subject: UUID, sequence: int) -> str:
    """What a write answers in `Throughline-Position`: `<topic>/<subject>@<sequence>`, topic without prefix."""
    return f"{told_on(aggregate)}/{subject}@{sequence}"


def told_on(aggregate: Aggregate[Any]) -> str:
    """The topic that an aggregate tells on; for one that only notes, its name."""
    return next((kind.topic for kind in aggregate.codec.kinds if kind.topic), aggregate.name)


@cache
def told_or_heard(aggregate: Aggregate[Any]) -> str:
    """Which of many positions the rows of an aggregate have told, or heard: their places, from 1."""
    return _TOLD_OR_HEARD.format(table=aggregate.table.name, topic=told_on(aggregate))


def seconds_of(prefer: str | None) -> float:
    """The time of `Prefer: wait=…`, at most 10 s; 0 without it."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MOST_SECONDS) if found else 0.0


def rests() -> Iterator[float]:
    """Seconds to rest before each further try of what is not known yet: none at first, then ever more."""
    yield 0.0
    for n in count():
        yield min(0.1 * 2**n, 0.5)


@dataclass(frozen=True, eq=False, slots=True)
class _Awaited:
    topic: str
    subject: UUID
    sequence: int
    reached: asyncio.Future[None]


class Positions:
    """Everybody who waits for a position in this process: one look at the tables serves them all."""

    def __init__(self, service: "Service", database: Database) -> None:
        self._aggregates = service.aggregates
        self._references = service.references
        self._database = database
        self._awaited: dict[_Awaited, None] = {}
        self._looking: asyncio.Task[None] | None = None

    async def reach(self, wanted: str, prefer: str | None) -> None:
        """Return once this service has heard (or told) the position; raises the 503 when it takes too long."""
        awaited = _parsed(wanted)
        if await self._reached([awaited]):
            return
        if not await self._comes(awaited, seconds_of(prefer) or _USUAL_SECONDS):
            raise Problem("position-not-reached", f"{wanted} is not heard here yet", headers={"retry-after": "1"})

    async def here(self, aggregate: Aggregate[Any], subject: UUID, seconds: float) -> bool:
        """Wait so many seconds at most for something that is on its way; whether anything is here of it."""
        awaited = _Awaited(told_on(aggregate), subject, 0, asyncio.get_running_loop().create_future())
        return await self._comes(awaited, seconds)

    async def _comes(self, awaited: _Awaited, seconds: float) -> bool:
        """Whether it is reached in time; at once that it is not, when too many wait already."""
        if len(self._awaited) >= MOST_WAITING:
            return False
        self._awaited[awaited] = None
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await awaited.reached
        except TimeoutError:
            return False
        finally:
            del self._awaited[awaited]
        return True

    async def _look(self) -> None:
        """Look again and again, for as long as anybody waits."""
        while self._awaited:
            await asyncio.sleep(_EVERY)
            waiting = list(self._awaited)
            if not waiting:
                break
            try:
                for awaited in await self._reached(waiting):
                    if not awaited.reached.done():
                        awaited.reached.set_result(None)
            except Exception as error:  # whatever it is, those who wait are told, and the next ones are looked for
                for awaited in waiting:
                    if not awaited.reached.done():
                        awaited.reached.set_exception(error)

    async def _reached(self, waiting: Sequence[_Awaited]) -> list[_Awaited]:
        """Those that an aggregate of this service has told or heard so far, or its table of documents holds."""
        found = set[int]()
        columns = (
            [each.subject for each in waiting],
            [each.topic for each in waiting],
            [each.sequence for each in waiting],
        )
        for aggregate in self._aggregates:
            found.update(row["n"] - 1 for row in await self._database.read(told_or_heard(aggregate), *columns))
        kept = [
            (reference.kind, str(each.subject), each.sequence, n)
            for n, each in enumerate(waiting)
            if n not in found
            for reference in self._references
            if reference.topic == each.topic
        ]
        if kept:
            found.update(row["n"] for row in await self._database.read(_KEPT, *zip(*kept, strict=True)))
        return [waiting[n] for n in found]


def _parsed(wanted: str) -> _Awaited:
    found = _POSITION.match(wanted)
    if found is None:
        raise Problem("bad-header", "Throughline-Position is no position")
    try:
        subject = UUID(found[3])
    except ValueError:
        raise Problem("bad-header", "Throughline-Position names no id") from None
    return _Awaited(f"{found[1]}.{found[2]}", subject, int(found[4]), asyncio.get_running_loop().create_future())
