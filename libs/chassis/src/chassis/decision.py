"""The words a domain answers with: records, refusals, actors, timers, numbers. Standard library only.

Three pure functions make an aggregate (architecture, section 1):

    decide(state, message, now, known) -> list of facts, or raises Refused
    evolve(state, fact)                -> state
    agenda(state)                      -> {(kind, ref): due_at}
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform
from uuid import UUID

_FROZEN = os.environ.get("THROUGHLINE_FROZEN_RECORDS") == "1"

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """An immutable value with slots.

    Frozen for the type checker always, and at run time under `THROUGHLINE_FROZEN_RECORDS=1` (tests);
    elsewhere plain slots, because a frozen dataclass costs nine times as much to make.
    """
    return dataclass(slots=True, frozen=_FROZEN, unsafe_hash=not _FROZEN)(cls)


def changed(value: T, **fields: Any) -> T:
    """A copy of a record with some fields replaced; an unknown name is an AttributeError."""
    cls = type(value)
    values_of, places = _layout(cls)  # type: ignore[arg-type]
    values = list(values_of(value))
    for name, new in fields.items():
        place = places.get(name)
        if place is None:
            raise AttributeError(f"{cls.__name__} has no {name}")
        values[place] = new
    return cls(*values)


@cache
def _layout(cls: type) -> tuple[Callable[[Any], Iterable[Any]], dict[str, int]]:
    """What gives all values of a record in order, and the place of each field among them."""
    names = tuple(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    values_of = attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]
    return values_of, {name: place for place, name in enumerate(names)}


class Refused(Exception):
    """What was asked may not happen. Concerns the one message that asked; never a neighbour.

    A subclass is named for what is wrong, its `slug` is that name in kebab case, its `status` the HTTP status.
    `facts` become members of the problem document.
    """

    slug: ClassVar[str] = "refused"
    status: ClassVar[int] = 409

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class Unknown(Refused):
    """It names a request or a document that is not known here (yet).

    From Kafka the message waits up to 60 s for it and is refused then, at once where `may_come` is false; over HTTP it
    is a 404.
    """

    slug = "unknown"
    status = 404
    may_come: ClassVar[bool] = True


class Forbidden(Refused):
    """The actor may not do this."""

    slug = "forbidden"
    status = 403


class Invalid(Refused):
    """A field's value cannot be accepted; `errors` names each by JSON Pointer."""

    slug = "invalid"
    status = 422

    def __init__(self, detail: str, errors: Mapping[str, str]) -> None:
        super().__init__(detail, errors=[{"pointer": at, "detail": why} for at, why in errors.items()])


@record
class Actor:
    """Who asked: a person of the staff, a contact, another system (client) or this system itself."""

    kind: str
    id: UUID | None = None
    rights: frozenset[str] = frozenset()

    def may(self, right: str) -> bool:
        """Whether the token, or the client's registration, carries this scope."""
        return right in self.rights


SYSTEM = Actor("system")


@record
class TimerDue:
    """An entry of the agenda whose time has come; decided like any other message."""

    kind: str
    ref: str
    due_at: datetime


@record
class Draw:
    """A place in a fact for a number of a gap-free series; filled when the batch is written (semantics, d6)."""

    series: str
    pattern: str


@record
class Recalled:
    """What is known around a fact that is read back from its topic: when, by whom, what was `told` with it.

    `client` is who commanded it, where that came by topic.
    """

    at: datetime
    actor: Actor
    client: str | None
    told: tuple[Any, ...]
    known: "Known"


class Known(Protocol):
    """Read-only reference data for one decision."""

    def get(self, kind: str, id: object) -> Any | None:
        """The document of this kind and id, as the service's domain record, or None."""

    def require(self, kind: str, id: object) -> Any:
        """The same; raises Unknown when it is not known here."""

    def holder(self, claim: str) -> UUID | None:
        """Who holds a claim, as far as this decision was told.

        What earlier messages of the batch took and released is known; of what is stored, None on the first try and the
        truth after a lost race.
        """

    def number(self, series: str) -> int:
        """The next number of a series that allows gaps; the aggregate's `numbers(message)` must have asked for it."""

    def new_id(self, n: int = 0) -> UUID:
        """The n-th new id of this message: sortable by the message's time, the same on every retry."""
