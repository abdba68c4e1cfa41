"""The read of a batch: one statement, no locks, everything that its decisions may need (architecture, section 3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
import orjson
from pydantic import TypeAdapter, ValidationError

from chassis.aggregate import Aggregate
from chassis.asked import Asked

S = TypeVar("S")


class Loaded(Generic[S]):
    """An aggregate's row as it was read; all zero where there is none.

    A stored state is read when somebody first looks at it: most facts of other services only move a position.
    """

    __slots__ = (
        "_broken",
        "_state",
        "_stored",
        "blocked",
        "edit_version",
        "exists",
        "heard",
        "sequence",
        "shape",
        "version",
    )

    def __init__(
        self,
        exists: bool = False,
        version: int = 0,
        sequence: int = 0,
        edit_version: int = 0,
        shape: int = 0,
        heard: dict[str, int] | None = None,
        blocked: str | None = None,
        state: S | None = None,
        stored: tuple[TypeAdapter[S], str] | None = None,
    ) -> None:
        self.exists = exists
        self.version = version
        self.sequence = sequence
        self.edit_version = edit_version
        self.shape = shape
        self.heard: dict[str, int] = {} if heard is None else heard
        self.blocked = blocked
        self._state = state
        self._stored = stored
        self._broken: ValidationError | None = None

    @property
    def state(self) -> S | None:
        """The aggregate; None where nothing was stated of it yet, or where it cannot be read."""
        self._read()
        return self._state

    @property
    def broken(self) -> ValidationError | None:
        """Why the stored state cannot be read; such a state is never written."""
        self._read()
        return self._broken

    def _read(self) -> None:
        if self._stored is not None:
            (adapter, text), self._stored = self._stored, None
            try:
                self._state = adapter.validate_json(text)
            except ValidationError as error:
                self._broken = error


@dataclass(slots=True)
class Remember:
    """A row of the table of message ids."""

    subject: UUID
    hash: bytes | None
    refused: str | None
    answer: str | None
    edit_version: int
    sequence: int


@dataclass(slots=True)
class Reading(Generic[S]):
    """What one read brought."""

    now: datetime
    rows: dict[UUID, Loaded[S]]
    ids: dict[UUID, Remember]
    documents: dict[tuple[str, str], str | None]
    own: dict[tuple[str, str], str | None]
    holders: dict[str, UUID]
    numbers: dict[str, list[int]]
    held_up: set[UUID] = field(default_factory=set)
    """Of the aggregates whose waiting facts are in the batch, those for which others wait beside them."""


@dataclass(frozen=True)
class Wanted:
    """What the read statement must bring beside the aggregates' rows."""

    ids: tuple[UUID, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()
    own: tuple[tuple[str, str], ...] = ()
    claims: tuple[str, ...] = ()
    numbers: tuple[tuple[str, int], ...] = ()
    waiting: tuple[tuple[UUID, int], ...] = ()
    """Facts that waited: of what aggregate, and under which id."""


_NOW = (
    "SELECT 'now' w, NULL::uuid id, 0::bigint a, 0::bigint b, 0::bigint c, 0::int d, NULL x, NULL y, NULL z, "
    "clock_timestamp() t"
)
_ROW = (
    "SELECT 'row', id, version, sequence, edit_version, shape, heard::text, blocked, state::text, NULL "
    "FROM {table} WHERE id = ANY($1::uuid[])"
)
LOCKED = (
    "SELECT 'row' w, r.id, r.version a, r.sequence b, r.edit_version c, r.shape d, r.heard::text x, r.blocked y, "
    "r.state::text z, clock_timestamp() t FROM {table} r "
)
"""The same of rows that a statement locks as it reads them; how they are found follows."""
_ID = (
    "SELECT 'id', id, edit_version, sequence, 0, 0, concat(subject, encode(hash, 'hex')), refused::text, "
    "answer::text, NULL "
    "FROM message_ids WHERE id = ANY(${n}::uuid[])"
)
_DOC = (
    "SELECT 'doc', NULL, d.sequence, 0, 0, 0, d.kind, d.id, d.doc::text, NULL FROM documents d "
    "JOIN unnest(${n}::text[], ${m}::text[]) k(kind, id) ON d.kind = k.kind AND d.id = k.id"
)
_CONTACT = (
    "SELECT 'doc', NULL, d.sequence, 0, 0, 0, d.kind, d.id, d.doc::text, NULL FROM {table} a "
    "JOIN documents d ON d.kind = 'contact' AND d.id = a.{column}::text WHERE a.id = ANY($1::uuid[])"
)
_OWN = (
    "SELECT 'own', id, version, 0, 0, 0, '{name}', id::text, state::text, NULL FROM {name} WHERE id = ANY(${n}::uuid[])"
)
_CLAIM = "SELECT 'claim', subject, 0, 0, 0, 0, claim, NULL, NULL, NULL FROM claims WHERE claim = ANY(${n}::text[])"
_NUMBER = (
    "SELECT 'number', NULL, nextval('{name}'), 0, 0, 0, '{name}', NULL, NULL, NULL FROM generate_series(1, ${n}::int)"
)

_HELD_UP = (
    "SELECT 'held', s, 0, 0, 0, 0, NULL, NULL, NULL, NULL FROM unnest(${n}::uuid[]) s WHERE EXISTS (SELECT FROM "
    "waiting w WHERE w.subject = s AND w.aggregate = '{name}' AND w.kind = 'stream' AND w.stream IS NOT NULL "
    "AND w.id <> ALL(${m}::bigint[]))"
)


class Reader(Generic[S]):
    """Builds and runs the read statement of one aggregate."""

    def __init__(self, aggregate: Aggregate[S]) -> None:
        self._aggregate = aggregate
        self._adapter: TypeAdapter[S] = TypeAdapter(aggregate.state)
        self._sql = lru_cache(maxsize=256)(self._build)

    def _build(
        self, ids: bool, documents: bool, own: tuple[str, ...], claims: bool, numbers: tuple[str, ...], waiting: bool
    ) -> str:
        table = self._aggregate.table.name
        parts, n = [_NOW, _ROW.format(table=table)], 1
        if self._aggregate.contact_column:
            parts.append(_CONTACT.format(table=table, column=self._aggregate.contact_column))
        if ids:
            parts.append(_ID.format(n=(n := n + 1)))
        if documents:
            parts.append(_DOC.format(n=n + 1, m=n + 2))
            n += 2
        for name in own:
            parts.append(_OWN.format(name=name, n=(n := n + 1)))
        if claims:
            parts.append(_CLAIM.format(n=(n := n + 1)))
        for name in numbers:
            parts.append(_NUMBER.format(name=name, n=(n := n + 1)))
        if waiting:
            parts.append(_HELD_UP.format(name=self._aggregate.name, n=n + 1, m=n + 2))
        return " UNION ALL ".join(parts)

    def query(self, subjects: Sequence[UUID], wanted: Wanted) -> tuple[str, list[Any]]:
        """The statement's text and its arguments."""
        arguments: list[Any] = [subjects]
        if wanted.ids:
            arguments.append(wanted.ids)
        if wanted.documents:
            arguments += [[kind for kind, _ in wanted.documents], [key for _, key in wanted.documents]]
        names = tuple(sorted({name for name, _ in wanted.own}))
        arguments += [[UUID(key) for name, key in wanted.own if name == own] for own in names]
        if wanted.claims:
            arguments.append(wanted.claims)
        arguments += [count for _, count in wanted.numbers]
        series = tuple(name for name, _ in wanted.numbers)
        if wanted.waiting:
            arguments += [list({subject for subject, _ in wanted.waiting}), [number for _, number in wanted.waiting]]
        parts = bool(wanted.ids), bool(wanted.documents), names, bool(wanted.claims), series, bool(wanted.waiting)
        return self._sql(*parts), arguments

    def locked(self, records: Sequence[asyncpg.Record]) -> Reading[S]:
        """Rows that a `LOCKED` statement brought; at least one."""
        reading = self.take(records, (), Wanted())
        reading.now = records[-1]["t"]
        return reading

    def take(self, records: Iterable[asyncpg.Record], subjects: Iterable[UUID], wanted: Wanted) -> Reading[S]:
        """Sort what came back."""
        reading: Reading[S] = Reading(
            None,  # type: ignore[arg-type]
            {subject: Loaded() for subject in subjects},
            {},
            dict.fromkeys(wanted.documents),
            dict.fromkeys(wanted.own),
            {},
            {},
        )
        for what, identifier, a, b, c, d, x, y, z, t in records:
            if what == "row":
                stored = None if z is None else (self._adapter, z)
                reading.rows[identifier] = Loaded(True, a, b, c, d, orjson.loads(x), y, stored=stored)
            elif what == "now":
                reading.now = t
            elif what == "id":
                reading.ids[identifier] = Remember(UUID(x[:36]), bytes.fromhex(x[36:]) or None, y, z, a, b)
            elif what == "doc":
                reading.documents[x, y] = z
            elif what == "own":
                reading.own[x, y] = z
            elif what == "claim":
                reading.holders[x] = identifier
            elif what == "held":
                reading.held_up.add(identifier)
            else:
                reading.numbers.setdefault(x, []).append(a)
        for numbers in reading.numbers.values():
            numbers.sort(reverse=True)
        return reading


def wanted_by(
    aggregate: Aggregate[Any], batch: Sequence[Asked], is_cached: Any, own_names: frozenset[str], claims: Iterable[str]
) -> Wanted:
    """What the messages of a batch need read: their ids, the documents they name, and numbers for them."""
    documents: dict[tuple[str, str], None] = {}
    own: dict[tuple[str, str], None] = {}
    numbers: dict[str, int] = {}
    for asked in batch:
        for kind, key in aggregate.refs(asked.message) if asked.message is not None else ():
            if kind in own_names:
                own[kind, key] = None
            elif not is_cached(kind):
                documents[kind, key] = None
        for series in aggregate.numbers(asked.message) if asked.message is not None else ():
            numbers[series] = numbers.get(series, 0) + 1
    return Wanted(
        ids=tuple(asked.id for asked in batch if asked.remember),
        documents=tuple(documents),
        own=tuple(own),
        claims=tuple(sorted(claims)),
        numbers=tuple(sorted(numbers.items())),
        waiting=tuple((asked.subject, asked.waiting_id) for asked in batch if asked.waiting_id and asked.is_fact),
    )
