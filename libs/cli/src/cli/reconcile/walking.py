"""A reconciliation of a running installation: a walk over its books, and a second look at whatever seems amiss.

The walk takes one partition after the other, so that it remembers no more than one at a time. It is not a snapshot: so
each suspect's whole story is read again, and the service that lacks something is asked what it knows.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from cli.console import Failed
from cli.reconcile.heard import Heard, Orphan
from cli.reconcile.horizon import Horizon
from cli.reconcile.ledger import Ledger, Passed, misnumbered
from cli.reconcile.mending import MAIL_ENDS_WITHIN, PLANNED, Account, judged
from contracts.registry import SERVICES


class Books(Protocol):
    """The books of an installation, however they are read."""

    pages: int

    async def standing(self, service: str) -> dict[str, Any]:
        """What of a service is still on its way."""

    def told(self, service: str, partition: int, since: datetime | None) -> AsyncIterator[Heard]:
        """What a service told on one partition since then, in order."""

    async def story(self, subject: UUID, partition: int) -> list[Heard]:
        """Everything that was told about one request."""

    async def account(self, service: str, subject: UUID) -> Account:
        """Where a request stands in a service."""


@dataclass(frozen=True)
class Bounds:
    """What a reconciliation looks at: nothing told before `since`, nothing younger than `older_than` at `now`.

    At most `most` requests are looked at a second time.
    """

    now: datetime
    since: datetime | None
    older_than: timedelta
    most: int


@dataclass
class Outcome:
    """What was found. What is `unexamined` seemed amiss and was not looked at again."""

    bounds: Bounds
    standings: list[dict[str, Any]]
    horizon: Horizon
    requests: int = 0
    facts: int = 0
    pages: int = 0
    orphans: list[Orphan] = field(default_factory=list)
    put_away: int = 0
    unexamined: int = 0

    @property
    def balanced(self) -> bool:
        """Whether nothing is missing, nothing is too much, and everything was looked at."""
        return not self.orphans and not self.unexamined


async def reconcile(
    books: Books, horizon: Horizon, *, since: datetime | None, older_than: timedelta, most: int
) -> Outcome:
    """Walk all services' books and balance them. `horizon` was read before, so that what follows is on its way."""
    standings = [await books.standing(service) for service in SERVICES]
    now = min(datetime.fromisoformat(standing["at"]) for standing in standings)
    partitions = {standing["partitions"] for standing in standings}
    if len(partitions) > 1:
        raise Failed(f"the services disagree on how many partitions there are: {sorted(partitions)}")
    walk = _Walk(books, Outcome(Bounds(now, since, older_than, most), standings, horizon))
    for partition in range(partitions.pop()):
        await walk.partition(partition)
    return walk.ended()


class _Walk:
    def __init__(self, books: Books, outcome: Outcome) -> None:
        self._books = books
        self._outcome = outcome
        self._bounds = outcome.bounds
        self._passed = patient(outcome.horizon, outcome.bounds.now)
        self._numbers: list[tuple[str, datetime]] = []
        self._examined = 0

    async def partition(self, number: int) -> None:
        """Read one partition of every service's books, and look again at what seems amiss there."""
        ledger = Ledger(whole=self._bounds.since is None)
        for service in SERVICES:
            async for fact in self._books.told(service, number, self._bounds.since):
                ledger.hear(fact)
                self._outcome.facts += 1
        self._outcome.requests += sum(1 for story in ledger.stories.values() if story.submitted)
        self._numbers += ledger.numbers
        suspects = dict.fromkeys(orphan.subject for orphan in self._unbalanced(ledger))
        del ledger
        for subject in suspects:
            await self._look_again(subject, number)

    def ended(self) -> Outcome:
        """What was found, the series of numbers too."""
        bounds, outcome = self._bounds, self._outcome
        outcome.orphans += misnumbered(self._numbers, bounds.now, bounds.older_than, bounds.since is None)
        outcome.pages = self._books.pages
        return outcome

    def _unbalanced(self, ledger: Ledger) -> Iterator[Orphan]:
        for orphan in ledger.unbalanced(self._bounds.now, self._passed, self._bounds.older_than):
            if self._bounds.since is None or orphan.at >= self._bounds.since:
                yield orphan

    async def _look_again(self, subject: UUID, partition: int) -> None:
        if self._examined == self._bounds.most:
            self._outcome.unexamined += 1
            return
        self._examined += 1
        story = Ledger()
        facts = await self._books.story(subject, partition)
        for fact in facts:
            story.hear(fact)
        for orphan in self._unbalanced(story):
            found = await self._judged(orphan, facts)
            if found is None:
                self._outcome.put_away += 1
            else:
                self._outcome.orphans.append(found)

    async def _judged(self, orphan: Orphan, facts: Iterable[Heard]) -> Orphan | None:
        if orphan.service is None:
            return orphan
        account = await self._books.account(orphan.service, orphan.subject)
        return judged(orphan, account, sum(1 for fact in facts if fact.teller == orphan.service))


def patient(horizon: Horizon, now: datetime) -> Passed:
    """Whether something is past, a mail only once all attempts at it must have ended."""

    def passed(service: str, fact: Heard) -> bool:
        if fact.type == PLANNED and now - fact.since < MAIL_ENDS_WITHIN:
            return False
        return horizon.passed(service, fact)

    return passed
