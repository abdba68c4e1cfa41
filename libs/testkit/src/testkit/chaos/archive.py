"""The streams as far as they have been read, by request: each reading goes on where the last one ended."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.clock import utc_now
from cli.reconcile.heard import Heard
from cli.reconcile.reading import following
from testkit.chaos.operations import marker_of

SUBMITTED: Final = "intake.request-submitted"
_ISSUED: Final = ("billing.invoice-issued", "billing.credit-note-issued")


@dataclass
class Archive:
    """Every record, in the order of its topic; what concerns more than one request stands apart."""

    by_subject: dict[UUID, list[Heard]] = field(default_factory=dict)
    made: dict[str, set[UUID]] = field(default_factory=dict)
    """The requests that were made of each intention, by its mark."""
    issued: list[Heard] = field(default_factory=list)
    """Whatever has a number of a series without gaps."""
    read_at: datetime | None = None
    """When the last reading began; what was told before that is here."""
    _last: dict[tuple[str, UUID], int] = field(default_factory=dict)

    def enter(self, fact: Heard) -> bool:
        """Keep one; whether it is a repeat of what its topic has told already."""
        self.by_subject.setdefault(fact.subject, []).append(fact)
        if fact.type == SUBMITTED:
            self.made.setdefault(marker_of(fact.data.get("summary")), set()).add(fact.subject)
        elif fact.type in _ISSUED:
            self.issued.append(fact)
        last = self._last.get((fact.topic, fact.subject), 0)
        self._last[fact.topic, fact.subject] = max(last, fact.sequence)
        return fact.sequence <= last

    def of(self, subjects: Iterable[UUID]) -> list[Heard]:
        """All facts of some requests."""
        return [fact for subject in subjects for fact in self.by_subject.get(subject, ())]

    def markers_of(self, subjects: Iterable[UUID]) -> set[str]:
        """The intentions of which these requests were made."""
        submitted = (fact for fact in self.of(subjects) if fact.type == SUBMITTED)
        return {marker_of(fact.data.get("summary")) for fact in submitted} - {""}


@dataclass
class News:
    """What was read since the last time."""

    facts: list[Heard] = field(default_factory=list)
    repeats: int = 0


class Reading:
    """A reader of the streams that keeps what it read."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.archive = Archive()
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._connected = AsyncExitStack()
        self._unread = News()
        self._more: Callable[[], AsyncIterator[Heard]] | None = None

    async def read(self) -> News:
        """Read up to the ends of now. Raises KafkaError; the next one goes on where this one was interrupted."""
        if self._more is None:
            self._more = await self._connected.enter_async_context(following(self._bootstrap, self._prefix))
        began = utc_now()
        async for fact in self._more():
            self._unread.repeats += self.archive.enter(fact)
            self._unread.facts.append(fact)
        self.archive.read_at = began
        news, self._unread = self._unread, News()
        return news

    async def stop(self) -> None:
        """Disconnect."""
        self._more = None
        await self._connected.aclose()
