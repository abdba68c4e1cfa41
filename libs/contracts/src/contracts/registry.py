"""Every type of message by name and version, and every topic with what it promises."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType

from contracts import approvals, billing, exchange, intake, notifications, workflow
from contracts.base import Command, Document, Event, Message

SERVICES = ("intake", "workflow", "approvals", "billing", "notifications")
LATER = ("insights",)
"""Readers that a plan names and no process is yet."""

DEFAULT_PARTITIONS = 12
CLIENT_PARTITIONS = 3
KIB = 1024
DAY_MS = 24 * 60 * 60 * 1000

_MODULES: tuple[ModuleType, ...] = (intake, workflow, approvals, billing, notifications, exchange)
_CLIENT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


def _told(module: ModuleType) -> Iterator[type[Message]]:
    for name, value in vars(module).items():
        if (
            isinstance(value, type)
            and issubclass(value, Message)
            and not name.startswith("_")
            and "type" in vars(value)
        ):
            yield value


def _collected() -> dict[tuple[str, int], type[Message]]:
    found: dict[tuple[str, int], type[Message]] = {}
    for module in _MODULES:
        for message in _told(module):
            other = found.setdefault((message.type, message.schema_version), message)
            if other is not message:
                raise TypeError(f"{message.wire_type()} is declared twice: {other.__name__} and {message.__name__}")
    return found


MESSAGES: Mapping[tuple[str, int], type[Message]] = MappingProxyType(_collected())

EVENTS: tuple[type[Event], ...] = tuple(m for m in MESSAGES.values() if issubclass(m, Event))
"""Facts, documents, answers, asks and dead letters."""
DOCUMENTS: tuple[type[Document], ...] = tuple(m for m in MESSAGES.values() if issubclass(m, Document))
COMMANDS: tuple[type[Command], ...] = tuple(m for m in MESSAGES.values() if issubclass(m, Command))


def find(type_: str, version: int) -> type[Message] | None:
    """The class of a message, or None when this contract does not know it."""
    return MESSAGES.get((type_, version))


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic and its promises. Names carry no installation prefix; `{client}` stands for a registered client."""

    name: str
    kind: str
    """stream, document, inbound, results, asks, resent or dead-letters."""
    owner: str
    readers: tuple[str, ...]
    key: str
    about: str
    retention_ms: int
    """-1: kept for ever."""
    cleanup: str = "delete"
    partitions: int | None = None
    """None: as many as the installation has, so that all topics of a request lie on one consumer."""
    max_message_bytes: int = 512 * KIB
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def configuration(self) -> dict[str, str]:
        """The topic's settings at the broker."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
            **self.settings,
        }


_SEGMENTS = {"segment.ms": str(DAY_MS)}
_COMPACTION = {**_SEGMENTS, "max.compaction.lag.ms": str(7 * DAY_MS), "delete.retention.ms": str(7 * DAY_MS)}


def _readers_of(topic: str) -> tuple[str, ...]:
    named = {reader for event in EVENTS if event.topic == topic for reader in event.readers}
    return tuple(name for name in (*SERVICES, *LATER) if name in named)


def _stream(name: str, about: str) -> Topic:
    return Topic(
        name=name, kind="stream", owner=name.split(".")[0], readers=_readers_of(name), key="request id",
        about=about, retention_ms=30 * DAY_MS, settings=_SEGMENTS,
    )  # fmt: skip


def _documents(name: str, key: str, about: str) -> Topic:
    return Topic(
        name=name, kind="document", owner=name.split(".")[0], readers=_readers_of(name), key=key, about=about,
        retention_ms=-1, cleanup="compact", max_message_bytes=2 * KIB * KIB, settings=_COMPACTION,
    )  # fmt: skip


def _around(service: str) -> tuple[Topic, ...]:
    """What every service has besides its own streams and documents."""
    others = tuple(name for name in SERVICES if name != service)
    return (
        Topic(
            name=f"{service}.asks", kind="asks", owner=service, readers=(service,), key="request id", partitions=1,
            about=f"Other services ask {service} to send facts again.", retention_ms=DAY_MS, settings=_SEGMENTS,
        ),
        Topic(
            name=f"{service}.resent", kind="resent", owner=service, readers=(service,), key="request id",
            about=f"Facts sent again to {service} by {', '.join(others)}, exactly as they stood on their stream.",
            retention_ms=7 * DAY_MS, settings=_SEGMENTS,
        ),
        Topic(
            name=f"{service}.dead-letters", kind="dead-letters", owner=service, readers=("operators",), partitions=1,
            key="letter id", about=f"Records that {service} cannot read, with the reason.", retention_ms=30 * DAY_MS,
            max_message_bytes=4 * KIB * KIB, settings=_SEGMENTS,
        ),
    )  # fmt: skip


def _of_client(service: str, client: str) -> tuple[Topic, Topic]:
    return (
        Topic(
            name=f"{service}.commands.{client}", kind="inbound", owner=client, readers=(service,), key="subject",
            about=f"Commands of one client to {service}.", retention_ms=7 * DAY_MS, partitions=CLIENT_PARTITIONS,
            settings=_SEGMENTS,
        ),
        Topic(
            name=f"{service}.results.{client}", kind="results", owner=service, readers=(client,), key="subject",
            about=f"The answers of {service} to one client.", retention_ms=7 * DAY_MS, partitions=CLIENT_PARTITIONS,
            settings=_SEGMENTS,
        ),
    )  # fmt: skip


TOPICS: tuple[Topic, ...] = (
    _stream("intake.requests", "Requests as they were submitted."),
    _documents("intake.contacts", "contact or organisation id", "Contacts and organisations."),
    _stream("workflow.requests", "The life of every request."),
    _documents("workflow.catalogue", "queue@version, or queue", "Queue definitions, and which version is current."),
    _documents("workflow.people", "person or team id", "Staff and teams."),
    _stream("approvals.approvals", "Approvals asked, votes, outcomes."),
    _stream("billing.accounts", "Charges, invoices, credit notes."),
    _stream("notifications.messages", "What became of every message."),
    *(topic for service in SERVICES for topic in _around(service)),
)
"""The topics of an installation, without those of clients."""

CLIENT_TOPICS: tuple[Topic, ...] = tuple(topic for service in SERVICES for topic in _of_client(service, "{client}"))
"""The pattern of each registered client's topics: `<service>.commands.<client>`, `<service>.results.<client>`."""


def topic(name: str) -> Topic:
    """The topic of this name (without prefix); KeyError when there is none."""
    return _BY_NAME[name]


_BY_NAME = {one.name: one for one in TOPICS}


def commands_topic(service: str, client: str) -> str:
    """Where a client commands a service."""
    return f"{service}.commands.{client}"


def results_topic(service: str, client: str) -> str:
    """Where a service answers a client."""
    return f"{service}.results.{client}"


def topics_of_client(client: str, services: tuple[str, ...]) -> tuple[Topic, ...]:
    """The topic pairs of a client for the services it may command. ValueError for a name that is no client's."""
    if not _CLIENT.fullmatch(client):
        raise ValueError(f"{client!r} is no client name: lower-case letters, digits and inner hyphens, at most 40")
    unknown = [service for service in services if service not in SERVICES]
    if unknown:
        raise ValueError(f"no such service: {', '.join(unknown)}")
    return tuple(topic for service in services for topic in _of_client(service, client))


def messages_on(one: Topic) -> tuple[type[Message], ...]:
    """The types that may appear on a topic."""
    if one.kind == "inbound":
        return tuple(command for command in COMMANDS if command.service == one.name.split(".")[0])
    if one.kind == "resent":
        streams = {other.name for other in TOPICS if other.kind == "stream" and other.owner != one.owner}
        return tuple(event for event in EVENTS if event.topic in streams)
    return tuple(event for event in EVENTS if event.topic == _pattern(one))


def _pattern(one: Topic) -> str:
    match one.kind:
        case "results":
            return "{service}.results.{client}"
        case "asks" | "dead-letters":
            return f"{{service}}.{one.kind}"
        case _:
            return one.name
