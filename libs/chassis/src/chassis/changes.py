"""What a batch wants written, beside the rows of its aggregates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from chassis.aggregate import Aggregate, Child
from chassis.asked import Asked, KeyReused, Outcome, refusal_json
from chassis.decision import Refused
from chassis.reading import Loaded

S = TypeVar("S")

UNKNOWN = "unknown:"
"""Before a stream's name: nothing is here yet that its messages could be decided on."""


@dataclass(slots=True)
class Stated:
    """A fact with what the journal says around it."""

    fact: Any
    asked: Asked
    n: int
    sequence: int | None
    first: bool


@dataclass(slots=True)
class Answer:
    """What a message's sender is told: kept under its id, and sent to a client's results topic."""

    asked: Asked
    outcome: Outcome


@dataclass(slots=True)
class Wait:
    """A message that cannot be decided now."""

    asked: Asked
    kind: str
    reason: str
    detail: str
    attempts: int
    next_at: datetime | None


@dataclass(slots=True)
class Reaction:
    """A message that a fact causes for another aggregate of the same service."""

    cause: Stated
    subject: UUID
    message: Any
    n: int


@dataclass(slots=True)
class Entry(Generic[S]):
    """One aggregate through the batch."""

    subject: UUID
    was: Loaded[S]
    heard: dict[str, int]
    sequence: int
    edit_version: int
    blocked: str | None
    touched: bool = False
    """Whether its row is to be saved."""
    stated: bool = False
    """Whether anything was stated of it; else its state stays as it is stored."""
    _state: S | None = None

    @property
    def state(self) -> S | None:
        """The aggregate as it stands now."""
        return self._state if self.stated else self.was.state

    def become(self, found: "Derived[S]") -> None:
        """Let what the facts of a message make of it count."""
        self._state, self.sequence = found.state, found.sequence
        self.edit_version += found.edited
        self.touched = self.stated = True

    def waits_elsewhere(self, stream: str) -> bool:
        """Whether only another stream waits for the aggregate to come: this one may be the one that brings it."""
        return self.blocked is not None and self.blocked.startswith(UNKNOWN) and self.blocked != UNKNOWN + stream


@dataclass(slots=True)
class Derived(Generic[S]):
    """What the facts of one message make of its aggregate, before anything of it counts."""

    state: S | None
    sequence: int
    edited: bool = False
    stated: list[Stated] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)


def derived(aggregate: Aggregate[S], entry: Entry[S], asked: Asked, facts: Iterable[Any], now: datetime) -> Derived[S]:
    """Fold facts over an aggregate as it stands, one after the other; `entry` itself is left alone."""
    found = Derived(entry.state, entry.sequence)
    for n, fact in enumerate(facts):
        found.state = aggregate.evolve(found.state, fact)
        told = aggregate.codec.is_told(fact)
        found.sequence += told
        stated = Stated(fact, asked, n, found.sequence if told else None, n == 0)
        found.stated.append(stated)
        found.children += aggregate.children(asked.subject, found.state, fact, now)
        caused = aggregate.react(asked.subject, found.state, fact)
        found.reactions += (Reaction(stated, subject, message, m) for m, (subject, message) in enumerate(caused))
        found.edited = found.edited or type(fact) in aggregate.edits
    return found


@dataclass(slots=True)
class Changes:
    """What the batch wants written, beside the aggregates' rows."""

    stated: list[Stated] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    still_waiting: list[Wait] = field(default_factory=list)
    decided_waiting: list[int] = field(default_factory=list)
    due_now: set[UUID] = field(default_factory=set)
    dead: list[tuple[Asked, Refused]] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)

    def add(self, found: Derived[Any]) -> None:
        """What one message's facts want written."""
        self.stated += found.stated
        self.children += found.children
        self.reactions += found.reactions


def remembered(answers: Sequence[Answer]) -> list[tuple[Any, ...]]:
    """Rows of the table of message ids: (id, hash, subject, refused, answer, edit version, sequence, inbound)."""
    return [
        (
            a.asked.id,
            a.asked.request_hash,
            a.outcome.subject,
            refusal_json(a.outcome.refused) if a.outcome.refused is not None else None,
            a.outcome.answer.decode() or None,
            a.outcome.edit_version,
            a.outcome.sequence,
            a.asked.reply_to is not None,
        )
        for a in answers
        if a.asked.remember and not a.outcome.replayed and not isinstance(a.outcome.refused, KeyReused)
    ]
