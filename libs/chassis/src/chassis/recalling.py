"""Facts that a service published, folded on as they were: rows of the journal, and children. Pure.

The topic holds what was told. What was only noted, and what never left, comes from deciding again (`rehearing`), or is
completed by the aggregate from what is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from chassis.aggregate import Aggregate, Child
from chassis.asked import Asked
from chassis.decision import Actor, Known, Recalled
from chassis.ids import derived_id
from chassis.journal import Encoded
from chassis.reading import Loaded
from contracts.envelope import Envelope

S = TypeVar("S")


class CannotRecover(Exception):
    """What is needed is not on the topics any more; the message says of what, and which."""


class Told(NamedTuple):
    """A fact as the service published it."""

    envelope: Envelope
    topic: str
    key: str
    value: bytes | None
    millis: int


class Heard(NamedTuple):
    """A fact of another service, and when that was told."""

    asked: Asked
    millis: int


@dataclass(slots=True)
class Line:
    """A row of the journal to be."""

    fact: Any
    columns: Encoded
    event_id: UUID
    sequence: int | None
    at: datetime
    actor: Actor
    correlation_id: UUID | None
    causation_id: UUID | None
    hop: int
    traceparent: str | None
    persons: list[UUID]


@dataclass(slots=True)
class Done(Generic[S]):
    """A message that was carried out, and what it made of its aggregate."""

    cause: UUID
    sequence: int
    edit_version: int
    state: S
    facts: list[Any]


class Pen(Generic[S]):
    """One aggregate from the row that was restored onwards, fact by fact."""

    def __init__(
        self,
        aggregate: Aggregate[S],
        subject: UUID,
        row: Loaded[S],
        known: Callable[[Asked], Known],
        client_of: Callable[[UUID], str | None] = lambda _: None,
    ) -> None:
        self.aggregate = aggregate
        self.subject = subject
        self.was = row
        self.state = row.state
        self.sequence = row.sequence
        self.edit_version = row.edit_version
        self.heard = dict(row.heard)
        self.lines: list[Line] = []
        self.children: list[Child] = []
        self.done: list[Done[S]] = []
        self.known = known
        self.client_of = client_of

    @property
    def changed(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.lines) or self.heard != self.was.heard

    def take(self, told: Told, decided: Any, recalled: Recalled) -> None:
        """Fold a published fact; what never left comes from `decided` where that is the same fact.

        Raises NewerVersion or CannotRecover for one that this release cannot read, and whatever `evolve` raises.
        """
        codec, envelope = self.aggregate.codec, told.envelope
        if not codec.reads(envelope.type, envelope.version):
            raise CannotRecover(f"this release cannot read {envelope.type}.v{envelope.version}")
        data, personal = codec.published(envelope.type, envelope.version, told.value)
        private = codec.encode(decided).private if decided is not None and self._same(decided, envelope) else None
        fact = codec.decode(envelope.type, envelope.version, data, personal, private)
        if private is None:
            fact = self.aggregate.complete(self.state, fact, recalled)
        encoded = codec.encode(fact)
        self._fold(fact, envelope.time)
        self.sequence = envelope.sequence or self.sequence
        columns = encoded._replace(
            version=envelope.version, topic=told.topic, key=told.key, data=data, personal=personal,
        )  # fmt: skip
        self.lines.append(
            Line(
                fact,
                columns,
                envelope.id,
                envelope.sequence,
                envelope.time,
                actor_of(envelope),
                envelope.correlation_id,
                envelope.causation_id,
                envelope.hop,
                envelope.traceparent,
                self._persons(),
            )
        )

    def note(self, fact: Any, n: int, asked: Asked, at: datetime) -> None:
        """Fold a fact that stayed here, or did not get out any more: the n-th that `asked` brought about."""
        codec = self.aggregate.codec
        self._fold(fact, at)
        told = codec.is_told(fact)
        self.sequence += told
        event_id = derived_id(asked.id, asked.made_at(), n, "fact")
        self.lines.append(
            Line(
                fact,
                codec.encode(fact),
                event_id,
                self.sequence if told else None,
                at,
                asked.actor,
                asked.correlation_id,
                asked.id,
                asked.hop,
                asked.traceparent,
                self._persons(),
            )
        )

    def _fold(self, fact: Any, at: datetime) -> None:
        self.state = self.aggregate.evolve(self.state, fact)
        self.children += self.aggregate.children(self.subject, self.state, fact, at)

    def carried_out(self, cause: UUID | None, since: int, *, answered: bool) -> None:
        """A message's facts are folded, which are the lines from `since`; `answered` when somebody was told."""
        facts = [line.fact for line in self.lines[since:]]
        self.edit_version += any(type(fact) in self.aggregate.edits for fact in facts)
        if answered and cause is not None and self.state is not None:
            self.done.append(Done(cause, self.sequence, self.edit_version, self.state, facts))

    def recalled(self, at: datetime, actor: Actor, group: Sequence[Told], asked: Asked) -> Recalled:
        """What is known around the facts of one message."""
        codec = self.aggregate.codec
        together = tuple(
            codec.decode(type_, version, *codec.published(type_, version, each.value), None)
            for each in group
            if codec.reads(type_ := each.envelope.type, version := each.envelope.version)
        )
        return Recalled(at, actor, self.client_of(asked.id), together, self.known(asked))

    def _persons(self) -> list[UUID]:
        return list(self.aggregate.persons(self.state)) if self.state is not None else []

    def _same(self, fact: Any, envelope: Envelope) -> bool:
        encoded = self.aggregate.codec.encode(fact)
        return (encoded.type, encoded.version) == (envelope.type, envelope.version)


def actor_of(envelope: Envelope) -> Actor:
    """Who did it."""
    return Actor(envelope.actor_kind or "system", envelope.actor_id)
