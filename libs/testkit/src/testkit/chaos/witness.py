"""Who sees an installation from outside as long as it stands, and audits it: what a run touched, and at the end all.

The audit of a run is as thorough as that of the whole: whatever was touched is looked at with all that ever became of
it, and what cannot be told by requests (series, what is left over, what is held) is always looked at as a whole.
"""

import asyncio
import contextlib
import gc
import random
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from aiokafka.errors import KafkaError

from cli.clients import schemas
from testkit.chaos.archive import Archive, News, Reading
from testkit.chaos.auditor import Violation, audit
from testkit.chaos.evidence import gather, touched
from testkit.chaos.footprint import Footprint, footprint
from testkit.chaos.laws.clocks import Span, lates, unhindered
from testkit.chaos.prying import pry
from testkit.chaos.site import Site
from testkit.chaos.watching import Watching

AT_ONCE: Final = 1500
"""Requests that are looked at in one go: what it takes grows with the requests, the memory for it does not."""
_EARLIER: Final = timedelta(seconds=3)
"""A row may become visible after one that changed later."""
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AWAY = (KafkaError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_AGAIN_AFTER: Final = 0.5
_OF_ALL: Final = ("I11", "I12")
"""What these say is of no single request, and looked at anew with any scope."""
ID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


@dataclass
class Found:
    """What an audit came to, and what was told since the one before it."""

    violations: list[Violation] = field(default_factory=list)
    requests: int = 0
    """How many were looked at."""
    facts: int = 0
    duplicates: int = 0
    late: list[float] = field(default_factory=list)
    unhindered: list[float] = field(default_factory=list)
    """The same without the time in which a fault stood in the way, ascending."""
    mib: float = 0.0
    """Resident memory of the largest process."""
    waited_for: dict[str, int] = field(default_factory=dict)
    """What was still on its way at the first look, by the names of the laws that were not kept then."""


def again(violations: Iterable[Violation], scope: set[UUID]) -> set[UUID]:
    """Of what was looked at, what is to be looked at again: what violations name, or all when one names none. Pure."""
    found: set[UUID] = set()
    for violation in violations:
        if violation.invariant not in _OF_ALL:
            about = {UUID(text) for text in ID.findall(violation.where)} & scope
            if not about:
                return scope
            found |= about
    return found


class Witness:
    """Reads the streams and watches the rows of one installation."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reading = Reading(site.bootstrap, site.prefix)
        self._watching = Watching(site)
        self._since: datetime | None = None
        self._operations = 0
        self._held: list[Footprint] = []
        self.hindered: list[Span] = []
        """The times in which a fault stood in the way, of every run so far."""

    @property
    def archive(self) -> Archive:
        """What the streams have told so far."""
        return self._reading.archive

    def start(self) -> None:
        """Begin to watch."""
        self._watching.start()

    async def stop(self) -> None:
        """See nothing more."""
        await self._watching.stop()
        await self._reading.stop()
        gc.unfreeze()

    async def settled(
        self, chance: random.Random, before: Footprint, *, whole: bool = False, within: float = 60.0
    ) -> Found:
        """Audit until there is no violation, or until what is still there cannot be on its way any more.

        `whole` looks at everything that ever was. After the first look, only what was not in order is looked at again,
        and what has changed since. Raises what kept it from looking when it never could.
        """
        deadline = time.monotonic() + within
        self._held = self._held or [before]
        began, news, found = await self._now(), News(), Found()
        shown = await pry(self._site, chance)
        scope: set[UUID] | None = None
        while True:
            last = time.monotonic() > deadline
            with contextlib.suppress(*(() if last else _AWAY)):
                at = await self._now()
                told = await self._read(news)
                if scope is None:
                    scope = told | await self._asked_or_touched(None if whole else self._since)
                    found.requests = len(scope)
                after = await footprint(self._site.running(), self._site.watch.processes)
                found.mib = after.mib
                found.violations = await self._look(scope, shown, after)
                if last or not found.violations:
                    break
                found.waited_for = found.waited_for or dict(Counter(each.name for each in found.violations))
                scope = again(found.violations, scope) | told | await touched(self._site.running(), at - _EARLIER)
            await asyncio.sleep(_AGAIN_AFTER)
        self._since, self._operations = began, len(self._site.operations.all)
        self._held.append(after)
        found.facts, found.duplicates = len(news.facts), news.repeats
        subjects = {fact.subject for fact in news.facts}
        breaches = lates(self.archive.of(subjects), {fact.id for fact in news.facts})
        found.late = sorted(late.seconds for late in breaches)
        found.unhindered = sorted(unhindered(late, self.hindered) for late in breaches)
        gc.freeze()  # what is kept for the next audits need not be looked through again and again
        return found

    async def _read(self, news: News) -> set[UUID]:
        """Add what is told by now; the requests that it is about."""
        more = await self._reading.read()
        news.facts += more.facts
        news.repeats += more.repeats
        return {fact.subject for fact in more.facts}

    async def _look(self, subjects: set[UUID], shown: list[str], after: Footprint) -> list[Violation]:
        """The violations of some requests, and of what belongs to none."""
        violations: dict[Violation, None] = {}
        for scope in self._scopes(subjects):
            evidence = await gather(
                self._site.running(), self.archive, self._site.operations, self._site.sink.taken.by_id, scope
            )
            evidence.went_back, evidence.shown = self._watching.went_back, shown
            evidence.before, *evidence.between = self._held
            evidence.after, evidence.hindered = after, self.hindered
            violations |= dict.fromkeys(audit(evidence))
        return list(violations)

    async def _asked_or_touched(self, since: datetime | None) -> set[UUID]:
        """Whatever changed since then or was asked for since the last audit; everything when there is no since."""
        everything = since is None
        asked = self._site.operations.all[0 if everything else self._operations :]
        found = await touched(self._site.running(), _BEGINNING if since is None else since - _EARLIER)
        found |= {operation.subject for operation in asked if operation.subject is not None}
        return found | self.archive.by_subject.keys() if everything else found

    def _scopes(self, subjects: set[UUID]) -> Iterator[set[UUID]]:
        """Some at a time; all that was made of one intention is together, touched or not. One scope at the least."""
        archive, scope = self._reading.archive, set[UUID]()
        for subject in sorted(subjects):
            scope.add(subject)
            for marker in archive.markers_of([subject]):
                scope |= archive.made[marker]
            if len(scope) >= AT_ONCE:
                yield scope
                scope = set()
        yield scope

    async def _now(self) -> datetime:
        async with schemas(self._site.running()) as visits:
            found: Sequence[datetime] = [await c.fetchval("SELECT clock_timestamp()") async for _, c in visits]
        return min(found)
