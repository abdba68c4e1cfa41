"""Reference data: the documents that a service knows, its own and those it hears, and their cache in every process."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import TypeAdapter

from chassis.asked import Asked
from chassis.database import Database
from chassis.decision import Unknown
from chassis.ids import derived_id

if TYPE_CHECKING:
    from chassis.reading import Reading

_REFRESH_SECONDS = 2.0
_OVERLAP = timedelta(seconds=15)
"""Rows are stamped before they commit; a refresh looks this far back so that a late commit is not missed."""

STORE = """
INSERT INTO documents AS d (kind, id, sequence, doc, changed_at)
SELECT u.kind, u.id, u.sequence, u.doc::json, clock_timestamp()
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS u(kind, id, sequence, doc)
ON CONFLICT (kind, id) DO UPDATE SET sequence = excluded.sequence, doc = excluded.doc, changed_at = excluded.changed_at,
    erased_at = NULL
WHERE d.sequence < excluded.sequence
"""
_CHANGED = "SELECT kind, id, doc::text, changed_at FROM documents WHERE kind = ANY($1::text[]) AND changed_at > $2"
_ONE = (
    "SELECT d.kind, d.id, d.doc::text FROM documents d "
    "JOIN unnest($1::text[], $2::text[]) k(kind, id) ON d.kind = k.kind AND d.id = k.id"
)

Entry = tuple[str, str, int, str | None]
"""(kind, id, sequence, document as JSON or None when it was erased)"""


@dataclass(frozen=True)
class Reference:
    """One kind of document that a service's decisions may read, as a record of its domain.

    `cached` kinds are small: every process holds them all, at most 5 s old. Others come with the read statement.
    """

    kind: str
    adapter: TypeAdapter[Any]
    cached: bool
    topic: str
    document: type[Any]

    @staticmethod
    def of(document: type[Any], record: type[Any], *, cached: bool) -> "Reference":
        """The reference of a contract's document class."""
        return Reference(document.kind, TypeAdapter(record), cached, document.topic, document)

    def read(self, doc: str) -> Any:
        """The domain's record of a document; fields that it does not know are left out."""
        return self.adapter.validate_json(doc)


class Documents:
    """The table of documents and this process's cache of its small kinds."""

    def __init__(
        self, database: Database, references: Iterable[Reference] = (), own: Mapping[str, type[Any]] | None = None
    ) -> None:
        self._database = database
        self._own = {table: TypeAdapter(state) for table, state in (own or {}).items()}
        self._references = {reference.kind: reference for reference in references}
        self._cache: dict[tuple[str, str], Any] = {}
        self._since = datetime(1970, 1, 1, tzinfo=UTC)
        """All that had changed by then is held: only a refresh may say so, since only it reads everything."""
        self._fresh_until = 0.0
        self._refreshing = asyncio.Lock()

    @property
    def references(self) -> Iterable[Reference]:
        """Every kind that decisions may read."""
        return self._references.values()

    def is_cached(self, kind: str) -> bool:
        """Whether this process holds every document of a kind."""
        found = self._references.get(kind)
        return found is not None and found.cached

    def read(self, kind: str, doc: str) -> Any:
        """A document as the domain's record."""
        return self._references[kind].read(doc)

    @property
    def own_tables(self) -> frozenset[str]:
        """The tables of this service's aggregates: `refs` may name their rows as well."""
        return frozenset(self._own)

    def read_own(self, table: str, state: str) -> Any:
        """The state of another aggregate of this service."""
        return self._own[table].validate_json(state)

    async def refresh(self) -> None:
        """Bring the cache up to the table, if it is older than two seconds."""
        if time.monotonic() < self._fresh_until:
            return
        async with self._refreshing:
            if time.monotonic() < self._fresh_until:
                return
            kinds = [reference.kind for reference in self._references.values() if reference.cached]
            rows = await self._database.read(_CHANGED, kinds, self._since - _OVERLAP) if kinds else []
            for kind, key, doc, changed_at in rows:
                self.put(kind, key, doc)
                self._since = max(self._since, changed_at)
            self._fresh_until = time.monotonic() + _REFRESH_SECONDS

    async def fetch(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
        """Read single documents past the cache, which keeps those of cached kinds; those that were there, as JSON."""
        rows = await self._database.read(_ONE, [kind for kind, _ in keys], [key for _, key in keys])
        for kind, key, doc in rows:
            self.put(kind, key, doc)
        return {(kind, key): doc for kind, key, doc in rows}

    def put(self, kind: str, key: str, doc: str | None) -> None:
        """Let this process see a document at once."""
        if not self.is_cached(kind):
            return
        if doc is None:
            self._cache.pop((kind, key), None)
        else:
            self._cache[kind, key] = self.read(kind, doc)

    def cached(self, kind: str, key: str) -> Any | None:
        """A document of a cached kind, or None."""
        return self._cache.get((kind, key))

    def all(self, kind: str) -> list[Any]:
        """Every document of a cached kind."""
        return [value for (found, _), value in self._cache.items() if found == kind]

    async def store(self, entries: Sequence[Entry]) -> None:
        """Write heard documents, the highest sequence of each wins; raises Unavailable."""
        latest: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            kept = latest.get(entry[:2])
            if kept is None or kept[2] < entry[2]:
                latest[entry[:2]] = entry
        rows = [latest[key] for key in sorted(latest)]
        if rows:
            await self._database.execute(STORE, *(list(column) for column in zip(*rows, strict=True)))
        if cached := [key for key in latest if self.is_cached(key[0])]:
            await self.fetch(cached)  # what was told again is not what stands in the table


class Lookup:
    """`Known` for one message of a batch."""

    __slots__ = ("_asked", "_documents", "_numbers", "_reading", "missed")

    def __init__(
        self, documents: Documents, reading: "Reading[Any]", numbers: dict[str, list[int]], asked: Asked
    ) -> None:
        self._documents = documents
        self._reading = reading
        self._numbers = numbers
        self._asked = asked
        self.missed: list[tuple[str, str]] = []
        """Documents that were asked for and not read yet."""

    def get(self, kind: str, id: object) -> Any | None:
        key = str(id)
        found = self._documents.cached(kind, key) if self._documents.is_cached(kind) else self._read(kind, key)
        if found is None and (kind, key) not in self._reading.documents and kind not in self._documents.own_tables:
            self.missed.append((kind, key))
        return found

    def _read(self, kind: str, key: str) -> Any | None:
        doc = self._reading.documents.get((kind, key))
        if doc is not None:
            return self._documents.read(kind, doc)
        doc = self._reading.own.get((kind, key))
        return None if doc is None else self._documents.read_own(kind, doc)

    def require(self, kind: str, id: object) -> Any:
        found = self.get(kind, id)
        if found is None:
            raise Unknown(f"{kind} {id} is not known here", kind=kind, id=str(id))
        return found

    def holder(self, claim: str) -> UUID | None:
        return self._reading.holders.get(claim)

    def number(self, series: str) -> int:
        return self._numbers[series].pop()

    def new_id(self, n: int = 0) -> UUID:
        return derived_id(self._asked.id, self._asked.made_at(), n, "id")
