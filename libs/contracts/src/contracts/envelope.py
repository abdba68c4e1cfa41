"""The envelope of a message on Kafka: CloudEvents 1.0, binary mode as written, structured mode also read.

ce_specversion  "1.0"                       ce_sequence       gap-free per topic and subject
ce_id           UUID, ordered by time       ce_correlationid  the first cause of a chain
ce_source       /<prefix>/<service>         ce_causationid    what caused this
ce_type         <type>.v<version>           ce_hop            how many causes lie before it
ce_subject      request id or document key  ce_rulepath       automations passed, by ","
ce_time         RFC 3339                    ce_actor          <kind> or <kind>:<id>: who did it
ce_dataschema   the schema of the value     traceparent       W3C trace context
content-type    application/json
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from contracts.fields import FIRST_YEAR, LAST_YEAR

SCHEMAS = "urn:throughline:schema:"
"""What `ce_dataschema` starts with; `<type>.v<version>` follows, as in the `$id` of the schema files."""

MAX_HOP = 1000
MAX_TEXT = 256
_UUID_TEXT = 45
"""Characters of the longest way to write one: as a URN."""

Headers = list[tuple[str, bytes]]


class BadEnvelope(ValueError):
    """The headers, or the structured event, are no envelope of ours. `slug` says why."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail


@dataclass(slots=True, kw_only=True)
class Envelope:
    """What a message says about itself. `type` is without version; `subject` is a request id or a document's key."""

    id: UUID
    source: str
    type: str
    version: int
    time: datetime
    subject: str | None = None
    sequence: int | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    hop: int = 0
    rulepath: tuple[str, ...] = ()
    actor_kind: str | None = None
    actor_id: UUID | None = None
    traceparent: str | None = None

    @property
    def dataschema(self) -> str:
        """The `$id` of the JSON Schema of the value."""
        return f"{SCHEMAS}{self.type}.v{self.version}"


@lru_cache(maxsize=1024)
def _type_headers(source: str, type_: str, version: int) -> tuple[tuple[str, bytes], ...]:
    name = f"{type_}.v{version}"
    return (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_type", name.encode()),
        ("ce_dataschema", f"{SCHEMAS}{name}".encode()),
    )


def to_headers(envelope: Envelope) -> Headers:
    """The Kafka headers of a message in binary mode."""
    e = envelope
    actor = None if e.actor_kind is None else f"{e.actor_kind}:{e.actor_id}" if e.actor_id else e.actor_kind
    return binary(
        e.source, e.type, e.version, e.id, e.time, e.subject, e.sequence, e.correlation_id, e.causation_id, e.hop,
        actor, e.traceparent, e.rulepath,
    )  # fmt: skip


def binary(
    source: str,
    type_: str,
    version: int,
    id_: UUID,
    time: datetime,
    subject: str | None,
    sequence: int | None,
    correlation_id: UUID | None,
    causation_id: UUID | None,
    hop: int | None,
    actor: str | None,
    traceparent: str | None,
    rulepath: tuple[str, ...] = (),
) -> Headers:
    """The same from the parts, for who writes many; `actor` as the header says it."""
    headers = [
        *_type_headers(source, type_, version),
        ("ce_id", str(id_).encode()),
        ("ce_time", timestamp(time).encode()),
    ]
    if subject is not None:
        headers.append(("ce_subject", subject.encode()))
    if sequence is not None:
        headers.append(("ce_sequence", b"%d" % sequence))
    if correlation_id is not None:
        headers.append(("ce_correlationid", str(correlation_id).encode()))
    if causation_id is not None:
        headers.append(("ce_causationid", str(causation_id).encode()))
    if hop:
        headers.append(("ce_hop", b"%d" % hop))
    if rulepath:
        headers.append(("ce_rulepath", ",".join(rulepath).encode()))
    if actor is not None:
        headers.append(("ce_actor", actor.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def read(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> tuple[Envelope, bytes | None]:
    """Envelope and data of a record, in binary or structured mode. Raises BadEnvelope."""
    named = _texts(headers)
    if not named.get("content-type", "").startswith("application/cloudevents"):
        return _envelope(named), value
    if not named["content-type"].startswith("application/cloudevents+json"):
        raise BadEnvelope("content-type-unknown", "structured events are read as application/cloudevents+json only")
    return _structured(value, named)


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """The envelope of a record in binary mode. Raises BadEnvelope."""
    return _envelope(_texts(headers))


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with Z."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat()[:-6] + "Z"


@lru_cache(maxsize=1024)
def split_type(wire: str) -> tuple[str, int]:
    """("workflow.stage-changed", 1) of "workflow.stage-changed.v1". Raises BadEnvelope."""
    name, dot, version = wire.rpartition(".v")
    if not dot or not name or len(version) > 4 or not version.isascii() or not version.isdigit():
        raise BadEnvelope("type-malformed", f"ce_type is {wire[:MAX_TEXT]!r}, not <type>.v<version>")
    return name, int(version)


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The headers that are ours, by attribute: without `ce_`."""
    texts = {}
    try:
        for name, value in headers:
            attribute = _ATTRIBUTES.get(name) or _attribute(name)
            if attribute is not None and value is not None:
                texts[attribute] = value.decode()
    except UnicodeDecodeError as error:
        raise BadEnvelope("header-not-text", f"a header is not UTF-8: {error}") from error
    return texts


def _attribute(name: str) -> str | None:
    """The attribute of a header however it is written: its name is not case-sensitive."""
    lower = name.lower()
    if lower.startswith("ce_"):
        return lower[3:]
    return lower if lower in ("content-type", "traceparent") else None


_ATTRIBUTES = {
    name: _attribute(name)
    for name in (
        *("content-type", "traceparent", "ce_specversion", "ce_source", "ce_type", "ce_dataschema", "ce_id", "ce_time"),
        *("ce_subject", "ce_sequence", "ce_correlationid", "ce_causationid", "ce_hop", "ce_actor"),
    )
}
"""What we write ourselves."""


def _structured(value: bytes | None, named: dict[str, str]) -> tuple[Envelope, bytes | None]:
    try:
        event = json.loads(value or b"", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadEnvelope("not-json", f"the structured event is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise BadEnvelope("not-json", "a structured event is a JSON object")
    if "data_base64" in event:
        raise BadEnvelope("data-not-json", "data must be JSON, not data_base64")
    data = event.pop("data", None)
    texts = {name: _plain(name, text) for name, text in event.items() if text is not None}
    if "traceparent" in named:
        texts["traceparent"] = named["traceparent"]
    # In ASCII, since half a surrogate has no UTF-8: whoever reads the value refuses it.
    body = None if data is None else json.dumps(data, separators=(",", ":")).encode()
    return _envelope(texts), body


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _plain(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadEnvelope("attribute-malformed", f"attribute {name[:MAX_TEXT]!r} is no string")


def _envelope(texts: dict[str, str]) -> Envelope:
    if texts.get("specversion") != "1.0":
        raise BadEnvelope("not-a-cloudevent", "ce_specversion is not 1.0")
    type_, version = split_type(_required(texts, "type"))
    actor_kind, _, actor_id = texts.get("actor", "").partition(":")
    return Envelope(
        id=_uuid("id", _required(texts, "id")),
        source=_required(texts, "source"),
        type=type_,
        version=version,
        time=_time(_required(texts, "time")),
        subject=_bounded("subject", texts.get("subject")),
        sequence=_integer("sequence", texts.get("sequence"), 2**63 - 1),
        correlation_id=_optional_uuid("correlationid", texts),
        causation_id=_optional_uuid("causationid", texts),
        hop=_integer("hop", texts.get("hop"), MAX_HOP) or 0,
        rulepath=tuple(texts["rulepath"].split(",")) if texts.get("rulepath") else (),
        actor_kind=actor_kind or None,
        actor_id=_uuid("actor", actor_id) if actor_id else None,
        traceparent=_bounded("traceparent", texts.get("traceparent")),
    )


def _required(texts: dict[str, str], name: str) -> str:
    text = _bounded(name, texts.get(name))
    if not text:
        raise BadEnvelope("header-missing", f"ce_{name} is missing")
    return text


def _bounded(name: str, text: str | None) -> str | None:
    if text is not None and (len(text) > MAX_TEXT or not text.isprintable()):
        raise BadEnvelope("attribute-malformed", f"{name} is too long or holds control characters")
    return text


_read_uuid = lru_cache(maxsize=4096)(UUID)
"""One chain's ids come again and again."""


def _uuid(name: str, text: str) -> UUID:
    if len(text) > _UUID_TEXT:  # what is kept is kept by its text
        raise BadEnvelope("attribute-malformed", f"ce_{name} is no UUID")
    try:
        return _read_uuid(text)
    except ValueError as error:
        raise BadEnvelope("attribute-malformed", f"ce_{name} is no UUID") from error


def _optional_uuid(name: str, texts: dict[str, str]) -> UUID | None:
    text = texts.get(name)
    return _uuid(name, text) if text else None


def _integer(name: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= most):
        raise BadEnvelope("attribute-malformed", f"ce_{name} is no integer from 0 to {most}")
    return int(text)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadEnvelope("attribute-malformed", "ce_time is no RFC 3339 time") from error
    if at.tzinfo is None or not FIRST_YEAR < at.year < LAST_YEAR:
        raise BadEnvelope("attribute-malformed", "ce_time has no offset, or lies out of all bounds")
    utc = at.astimezone(UTC)
    if not FIRST_YEAR < utc.year < LAST_YEAR:
        raise BadEnvelope("attribute-malformed", "ce_time lies out of all bounds in UTC")
    return utc
