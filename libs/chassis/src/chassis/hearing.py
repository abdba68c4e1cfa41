"""Records of topics to messages: which facts a service hears, and what each becomes. No transport here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import structlog
from pydantic import ValidationError

from chassis import naming
from chassis.aggregate import Aggregate
from chassis.asked import Asked, Undecodable
from chassis.decision import Actor
from chassis.documents import Entry
from contracts import registry
from contracts.base import Document, Event
from contracts.envelope import MAX_HOP, BadEnvelope, Envelope, from_headers

log = structlog.get_logger(__name__)

E = TypeVar("E", bound=Event)

RECORD_LIMIT = 512 << 10
DOCUMENT_LIMIT = 2 << 20
HISTORY = ("ce_history", b"1")
"""The header of facts that come in bulk."""
_ERASED = "-erased"


@dataclass(frozen=True, slots=True)
class Meta:
    """What a handler may know of an event beside its body."""

    id: UUID
    subject: UUID
    sequence: int
    time: datetime
    type: str
    topic: str
    actor: Actor
    correlation_id: UUID
    causation_id: UUID | None
    hop: int
    history: bool = False
    """Whether it comes in bulk to a service that started late: nobody is to be told, nothing to be charged anew."""
    redelivered: bool = False
    """Whether an operator lets it be decided after all, behind what came later on its stream."""


Handler = Callable[[Any, Meta], Any]


class Stream:
    """The facts that a service hears about its requests, all decided by one aggregate.

    Facts of a heard topic that no handler takes only advance the position; their bodies are not decoded.
    """

    def __init__(self, into: Aggregate[Any]) -> None:
        self.into = into
        self.handlers: dict[tuple[str, int], tuple[type[Event], Handler]] = {}
        self._topics: set[str] = set()

    def on(self, event: type[E]) -> Callable[[Callable[[E, Meta], Any]], Callable[[E, Meta], Any]]:
        """Declare what an event becomes: a message for the aggregate, or None for nothing."""

        def declare(handler: Callable[[E, Meta], Any]) -> Callable[[E, Meta], Any]:
            key = event.type, event.schema_version
            if key in self.handlers:
                raise ValueError(f"{event.wire_type()} is handled twice")
            self.handlers[key] = (event, handler)
            self._topics.add(event.topic)
            return handler

        return declare

    def listen(self, topic: str) -> None:
        """Keep positions of a topic of which nothing is handled (yet)."""
        self._topics.add(topic)

    @property
    def topics(self) -> tuple[str, ...]:
        """The streams heard, without prefix."""
        return tuple(sorted(self._topics))


class Dead(NamedTuple):
    """A record that belongs to no request that could wait for it."""

    reason: str
    detail: str


class BadRecord(Exception):
    """Why a record is a dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Ear:
    """Decodes the records of one service's streams and documents."""

    def __init__(self, service: str, prefix: str, stream: Stream | None, kinds: Mapping[str, type[Document]]) -> None:
        self._prefix = prefix
        self._stream = stream
        self._kinds = kinds
        self._resent = naming.topic(prefix, f"{service}.resent")
        self._document_topics = {naming.topic(prefix, kind.topic) for kind in kinds.values()}
        self._sources = {naming.source(prefix, name): name for name in registry.SERVICES}
        self._stream_of = {topic.owner: topic.name for topic in registry.TOPICS if topic.kind == "stream"}
        self.ignored = 0
        """Facts whose type nothing here handles."""

    @property
    def topics(self) -> list[str]:
        """Everything this service subscribes to beside its clients' commands, as named at the broker."""
        streams = [naming.topic(self._prefix, name) for name in self._stream.topics] if self._stream else []
        return sorted({*streams, *self._document_topics, *([self._resent] if streams else [])})

    def decode(self, record: Any) -> Asked | Entry | Dead | None:
        """What a record is: a message, a document, a dead letter, or None (a document nobody here reads)."""
        try:
            envelope = from_headers(record.headers)
            owner = self._owner(envelope)
            if record.topic in self._document_topics:
                return self._document(record, envelope, owner)
            return self._fact(record, envelope, owner)
        except BadEnvelope as bad:
            return Dead(bad.slug, bad.detail)
        except BadRecord as bad:
            return Dead(bad.reason, bad.detail)

    def _owner(self, envelope: Envelope) -> str:
        owner = self._sources.get(envelope.source)
        if owner is None:
            raise BadRecord("source-unknown", f"ce_source {envelope.source[:200]!r} is no service of this installation")
        return owner

    # -- facts ---------------------------------------------------------------------------------------------------

    def _fact(self, record: Any, envelope: Envelope, owner: str) -> Asked:
        topic = self._stream_of[owner]
        if record.topic not in (naming.topic(self._prefix, topic), self._resent):
            raise BadRecord("source-wrong", f"{owner} does not own {record.topic}")
        if self._stream is None or topic not in self._stream.topics:
            raise BadRecord("stream-not-heard", f"nobody here listens to {topic}")
        subject = _subject(record, envelope)
        if envelope.sequence is None or envelope.sequence < 1:
            raise BadRecord("sequence-missing", "a fact without ce_sequence has no place in its stream")
        if len(record.value or b"") > RECORD_LIMIT:
            raise BadRecord("record-too-large", f"{len(record.value)} bytes")
        return Asked(
            subject=subject,
            message=self._message(record.value, envelope, subject, topic, history=HISTORY in record.headers),
            stream=topic,
            sequence=envelope.sequence,
            record=record.value or b"",
            headers=list(record.headers),
            origin={
                "topic": naming.plain(self._prefix, record.topic),
                "partition": record.partition,
                "offset": record.offset,
                "key": record.key,
            },
            **_asked_of(envelope),
        )

    def _message(self, value: bytes | None, envelope: Envelope, subject: UUID, topic: str, **how: bool) -> Any:
        assert self._stream is not None
        found = self._stream.handlers.get((envelope.type, envelope.version))
        if found is None:
            if any(name == envelope.type for name, _ in self._stream.handlers):
                return Undecodable("version-unknown", f"{envelope.type}.v{envelope.version} is newer than this service")
            self.ignored += 1
            return None
        event, handler = found
        try:
            body = event.read(value or b"")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            at = "/".join(str(step) for step in first["loc"])
            return Undecodable("body-invalid", f"{event.wire_type()} /{at}: {first['msg']}")
        try:
            return handler(body, _meta(envelope, subject, topic, **how))
        except Exception as error:
            log.exception("handler_failed", type=envelope.type, id=str(envelope.id), subject=str(subject))
            return Undecodable("error", f"{type(error).__name__}: {error}")

    def revive(
        self, row: Any, envelope_of: Mapping[str, Any], headers: Sequence[tuple[str, bytes | None]] | None
    ) -> Asked:
        """A waiting record decoded anew: what could not be read before may be readable by this release.

        One without a stream has no position any more: an operator has taken it from the dead letters.
        """
        envelope = from_headers(headers or [])
        topic = row["stream"] or self._stream_of[self._owner(envelope)]
        how = {"history": HISTORY in (headers or ()), "redelivered": row["stream"] is None}
        message = self._message(row["record"], envelope, row["subject"], topic, **how)
        return Asked(
            subject=row["subject"],
            message=message,
            stream=row["stream"],
            sequence=row["sequence"],
            record=row["record"],
            headers=list(headers or []),
            **envelope_of,
        )

    # -- documents -----------------------------------------------------------------------------------------------

    def _document(self, record: Any, envelope: Envelope, owner: str) -> Entry | None:
        if naming.plain(self._prefix, record.topic).split(".")[0] != owner:
            raise BadRecord("source-wrong", f"{owner} does not own {record.topic}")
        key, ended = _key(record, envelope), record.value is None
        type_ = envelope.type.removesuffix(_ERASED) if ended else envelope.type
        kind = next((kind for kind, document in self._kinds.items() if document.type == type_), None)
        if kind is None:
            self.ignored += 1
            return None
        if ended:  # by whatever version: there is nothing to be read, and it may be an order to erase
            return kind, key, envelope.sequence or 0, None
        found = registry.find(type_, envelope.version)
        if found is None:
            raise BadRecord("version-unknown", f"{envelope.type}.v{envelope.version} is newer than this service")
        if len(record.value) > DOCUMENT_LIMIT:
            raise BadRecord("record-too-large", f"{len(record.value)} bytes")
        try:
            document = found.read(record.value)
        except ValidationError as error:
            raise BadRecord("body-invalid", f"{found.wire_type()}: {error.error_count()} errors") from error
        if isinstance(document, Document) and document.key != key:
            raise BadRecord("key-wrong", "the key is not the document's own")
        return kind, key, envelope.sequence or 0, str(record.value, "utf-8")


def _key(record: Any, envelope: Envelope) -> str:
    if record.key is None:
        raise BadRecord("key-missing", "a record without key has no place")
    if envelope.subject is None or record.key != envelope.subject.encode():
        raise BadRecord("key-wrong", "the key is not ce_subject")
    return envelope.subject


def _subject(record: Any, envelope: Envelope) -> UUID:
    try:
        return UUID(_key(record, envelope))
    except ValueError as error:
        raise BadRecord("subject-malformed", "ce_subject is no UUID") from error


def _asked_of(envelope: Envelope) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "actor": Actor(envelope.actor_kind or "system", envelope.actor_id),
        "correlation_id": envelope.correlation_id or envelope.id,
        "causation_id": envelope.causation_id,
        "hop": min(envelope.hop + 1, MAX_HOP),
        "traceparent": envelope.traceparent,
        "at": envelope.time,
    }


def _meta(envelope: Envelope, subject: UUID, topic: str, **how: bool) -> Meta:
    return Meta(
        envelope.id,
        subject,
        envelope.sequence or 0,
        envelope.time,
        envelope.type,
        topic,
        Actor(envelope.actor_kind or "system", envelope.actor_id),
        envelope.correlation_id or envelope.id,
        envelope.causation_id,
        envelope.hop,
        **how,
    )
