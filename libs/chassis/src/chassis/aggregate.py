"""What a service tells the chassis about one kind of aggregate."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Table

from chassis.decision import Known, Recalled, Unknown
from chassis.journal import Codec

S = TypeVar("S")


class Child(NamedTuple):
    """A row of a child table, inserted or (same primary key) overwritten with the fact that caused it."""

    table: Table
    row: dict[str, Any]


def _nothing(*_: object) -> tuple[()]:
    return ()


def _no_columns(_: object) -> dict[str, Any]:
    return {}


def _no_agenda(_: object) -> dict[tuple[str, str], datetime]:
    return {}


def _as_told(state: object, fact: Any, recalled: Recalled) -> Any:
    return fact


@dataclass(frozen=True, kw_only=True)
class Aggregate(Generic[S]):
    """One kind of thing that decides: its pure functions and its table.

    `answer` is the body that a caller gets, over HTTP, on a results topic and on every replay.
    `columns` fills the table's query columns; `children` the rows that a fact adds to child tables.
    """

    name: str
    table: Table
    state: type[S]
    shape: int
    codec: Codec
    decide: Callable[[S | None, Any, datetime, Known], Sequence[Any]]
    evolve: Callable[[S | None, Any], S]
    answer: Callable[[UUID, S, Sequence[Any]], dict[str, Any]]
    agenda: Callable[[S], Mapping[tuple[str, str], datetime]] = _no_agenda
    react: Callable[[UUID, S, Any], Iterable[tuple[UUID, Any]]] = _nothing
    claims: Callable[[S], Iterable[str]] = _nothing
    columns: Callable[[S], dict[str, Any]] = _no_columns
    children: Callable[[UUID, S, Any, datetime], Iterable[Child]] = _nothing
    persons: Callable[[S], Iterable[UUID]] = _nothing
    refs: Callable[[Any], Iterable[tuple[str, str]]] = _nothing
    numbers: Callable[[Any], Sequence[str]] = _nothing
    in_vain: Callable[[S | None, Any, Unknown, datetime], Sequence[Any]] = _nothing
    """What is stated of a heard fact that waited in vain for what it names; nothing: it becomes a dead letter."""
    messages: Sequence[type] = ()
    """Messages that reactions may send to it; their class names are kept in the table of waiting messages."""
    edits: frozenset[type] = frozenset()
    """Facts that move the edit version (the ETag): what a person edits."""
    complete: Callable[[S | None, Any, Recalled], Any] = _as_told
    """A fact read back from its topic with what never left, as far as it can be known again; a noted one as it was."""
    drawn: Callable[[Any], Iterable[tuple[str, int]]] = _nothing
    """The numbers that a fact has used up, by series: none of them may be drawn again."""
    subject_of: Callable[[Any], UUID] | None = None
    """Whose fact a document is, where its key is not the aggregate's id."""
    contact_column: str | None = None
    """A query column that holds a contact's id: the read statement brings that contact along."""

    @property
    def has_agenda(self) -> bool:
        """Whether anything of it ever falls due by itself."""
        return self.agenda is not _no_agenda
