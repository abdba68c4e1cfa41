"""How facts are written: domain records to journal columns and contract bytes, and back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from contracts.base import Document, Event

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def _default(value: object) -> object:
    if isinstance(value, Decimal | UUID):  # a UUID that comes here is the driver's own subclass
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(value, key=str)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def to_json(value: object) -> str:
    """JSON of records, decimals (as strings), instants (RFC 3339, Z), ids, sets (sorted) and plain values."""
    return orjson.dumps(value, default=_default, option=_OPTIONS).decode()


class NewerVersion(Exception):
    """A fact of this service in a version that this release does not know: a newer one stated it, and must read it."""


class Encoded(NamedTuple):
    """A fact's columns of the journal. `data` None with a topic is a tombstone."""

    type: str
    version: int
    topic: str | None
    key: str | None
    data: str | None
    personal: str | None
    private: str | None
    document: str | None


@dataclass(frozen=True)
class Kind:
    """How one class of facts is written and read back."""

    fact: type
    type: str
    version: int
    topic: str | None
    names: tuple[str, ...]
    personal: frozenset[str]
    private: frozenset[str]
    also: Callable[[Any], dict[str, Any]] | None
    key: Callable[[Any], str] | None
    document: str | None
    tombstone: bool
    adapter: TypeAdapter[Any]
    turned: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Makes the fields of the fact from those of a version that this release reads and does not write."""

    def encode(self, fact: Any) -> Encoded:
        """The journal columns of a fact."""
        key = self.key(fact) if self.key else None
        values = {name: getattr(fact, name) for name in self.names}
        private = {name: values.pop(name) for name in self.private} if self.private else None
        if self.tombstone:
            kept = {**values, **(private or {})}
            return Encoded(
                self.type, self.version, self.topic, key, None, None, to_json(kept) if kept else None, self.document
            )
        if self.also:
            values |= self.also(fact)
        personal = {name: values.pop(name) for name in self.personal if values.get(name) is not None}
        for name in self.personal:
            values.pop(name, None)
        return Encoded(
            self.type,
            self.version,
            self.topic,
            key,
            to_json(values),
            to_json(personal) if personal else None,
            to_json(private) if private else None,
            self.document,
        )

    def erased(self, private: str) -> str | None:
        """The private column without free text: whatever may be absent and is made of text; None when it had none."""
        values = orjson.loads(private)
        kinds = {field.name: str(field.type) for field in fields(self.fact)}
        text = [
            name
            for name, value in values.items()
            if value is not None and "None" in kinds.get(name, "") and ("str" in kinds[name] or "dict" in kinds[name])
        ]
        return to_json({**values, **dict.fromkeys(text)}) if text else None

    def decode(self, data: str | None, personal: str | None, private: str | None) -> Any:
        """The fact that these columns hold; erased personal fields read as None."""
        values: dict[str, Any] = dict.fromkeys(self.personal & set(self.names))
        for part in (data, personal, private):
            if part:
                values |= orjson.loads(part)
        if self.turned is not None:
            values = self.turned(values)
        return self.adapter.validate_python({name: values[name] for name in self.names if name in values})


class Codec:
    """The facts of one aggregate: told on a topic, or noted in the journal alone.

    Of one type several versions may be read, and one is written.
    """

    def __init__(self) -> None:
        self._by_fact: dict[type, Kind] = {}
        self._by_type: dict[tuple[str, int], Kind] = {}
        self._types: set[str] = set()

    def told(
        self,
        fact: type,
        event: type[Event],
        *,
        private: Iterable[str] = (),
        also: Callable[[Any], dict[str, Any]] | None = None,
        key: Callable[[Any], str] | None = None,
    ) -> None:
        """Facts that are published as `event`: same field names, but for `private` ones, which never leave.

        `also` gives contract fields that are computed from the fact; `key` the Kafka key where it is not the subject.
        """
        kind = event.kind if issubclass(event, Document) else None
        marks = frozenset(event.personal_fields())
        self._add(fact, event.type, event.schema_version, event.topic, marks, private, also, key, kind)

    def noted(
        self, fact: type, name: str, version: int = 1, *, personal: Iterable[str] = (), private: Iterable[str] = ()
    ) -> None:
        """Facts that are kept in the journal and not published."""
        self._add(fact, name, version, None, frozenset(personal), private)

    def tombstone(self, fact: type, document: type[Document], *, key: Callable[[Any], str] | None = None) -> None:
        """Facts that end a document: an empty record with the document's key."""
        self._add(
            fact, f"{document.type}-erased", document.schema_version, document.topic, frozenset(), (), None, key,
            document.kind, tombstone=True,
        )  # fmt: skip

    def also_reads(
        self, fact: type, name: str, version: int, turned: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        """Rows and records of another version are facts of this class too: `turned` makes its fields of theirs.

        One that is no longer written, or one that the next release will write: then both releases run side by side,
        and back is as free as forth. Personal and private fields keep their names from version to version.
        """
        if (name, version) in self._by_type:
            raise ValueError(f"{name}.v{version} is read twice")
        self._by_type[name, version] = replace(self._by_fact[fact], version=version, turned=turned)

    def _add(
        self,
        fact: type,
        name: str,
        version: int,
        topic: str | None,
        personal: frozenset[str],
        private: Iterable[str],
        also: Callable[[Any], dict[str, Any]] | None = None,
        key: Callable[[Any], str] | None = None,
        document: str | None = None,
        tombstone: bool = False,
    ) -> None:
        names = tuple(field.name for field in fields(fact))
        kind = Kind(
            fact, name, version, topic, names, personal, frozenset(private), also, key, document, tombstone,
            TypeAdapter(fact),
        )  # fmt: skip
        if fact in self._by_fact or (name, version) in self._by_type:
            raise ValueError(f"{fact.__name__} or {name}.v{version} is written twice")
        self._by_fact[fact] = kind
        self._by_type[name, version] = kind
        self._types.add(name)

    def encode(self, fact: Any) -> Encoded:
        """The journal columns of a fact; a KeyError names a class that no line of events.py writes."""
        return self._by_fact[type(fact)].encode(fact)

    def is_told(self, fact: Any) -> bool:
        """Whether facts of this class are published."""
        return self._by_fact[type(fact)].topic is not None

    def decode(self, name: str, version: int, data: str | None, personal: str | None, private: str | None) -> Any:
        """The fact of a journal row, old versions included."""
        return self._by_type[name, version].decode(data, personal, private)

    def erased(self, name: str, version: int, private: str) -> str | None:
        """The private column of a row without its free text; None when there is none to take out."""
        return self._by_type[name, version].erased(private)

    def published(self, name: str, version: int, value: bytes | None) -> tuple[str | None, str | None]:
        """The columns `data` and `personal` of a fact, from its bytes on the topic; nothing for a tombstone."""
        if value is None:
            return None, None
        values = orjson.loads(value)
        marked = self._by_type[name, version].personal
        personal = {field: values.pop(field) for field in marked if values.get(field) is not None}
        return to_json(values), to_json(personal) if personal else None

    def reads(self, name: str, version: int) -> bool:
        """Whether rows of this type and version belong to this aggregate.

        Raises NewerVersion for one that does and cannot be read: to pass it over would be to forget it.
        """
        if (name, version) in self._by_type:
            return True
        if name in self._types:
            raise NewerVersion(f"{name}.v{version} is newer than this release")
        return False

    @property
    def types(self) -> frozenset[str]:
        """The types of its facts, old versions included."""
        return frozenset(self._types)

    @property
    def kinds(self) -> Iterable[Kind]:
        """Every class of facts, as it is written."""
        return self._by_fact.values()
