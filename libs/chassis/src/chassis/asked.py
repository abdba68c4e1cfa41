"""What goes into a decider and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from chassis.clock import utc_now
from chassis.decision import Actor, Refused
from chassis.ids import time_of
from chassis.journal import to_json
from contracts.envelope import MAX_HOP


class UnknownOutcome(Exception):
    """The write was sent and its outcome is not known: repeat with the same key."""


class StaleVersion(Refused):
    """Somebody else has edited it since it was read; `current` is how it stands now."""

    slug = "stale-version"
    status = 412


class KeyReused(Refused):
    """This idempotency key, or command id, was used before with other content."""

    slug = "idempotency-key-reused"
    status = 422


class NumberUsed(Refused):
    """Another command of this client for this subject had this `ce_sequence` already."""

    slug = "number-used"


class NumberMissing(Refused):
    """The command numbered before this one did not come within a minute; send both, in order."""

    slug = "number-missing"


class Remembered(Refused):
    """A refusal read back from the table of message ids: the same answer as the first time."""

    def __init__(self, slug: str, status: int, detail: str, facts: dict[str, Any]) -> None:
        super().__init__(detail, **facts)
        self.slug = slug  # type: ignore[misc]
        self.status = status  # type: ignore[misc]


@dataclass(slots=True, frozen=True)
class Undecodable:
    """In place of a message: this record cannot be read, so its request waits for somebody who can."""

    reason: str
    detail: str


@dataclass(slots=True, frozen=True)
class Turned:
    """In place of a message: refused before any decision; the sender is only told."""

    refused: Refused


@dataclass(slots=True, kw_only=True)
class Asked:
    """One message on its way to a decider.

    A heard fact brings its `stream` and `sequence`; `message` None only advances that position. `remember` keeps the
    answer under `id`. `record` and `headers` are the original bytes, kept when the message must wait.
    """

    subject: UUID
    message: Any
    id: UUID
    actor: Actor
    correlation_id: UUID
    causation_id: UUID | None = None
    hop: int = 0
    traceparent: str | None = None
    remember: bool = False
    request_hash: bytes | None = None
    stream: str | None = None
    sequence: int | None = None
    command: dict[str, Any] | None = None
    expect: int | None = None
    record: bytes | None = None
    headers: list[tuple[str, bytes | None]] | None = None
    origin: dict[str, Any] | None = None
    """Where the record came from (topic, partition, offset, key), for operators and dead letters."""
    reply_to: str | None = None
    at: datetime | None = None
    """The message's own time; ids made from it begin with it."""
    occurred_at: datetime | None = None
    """When it happened, where that is not when it is decided (history mode)."""
    waiting_id: int | None = None
    waited_since: datetime | None = None
    waited_for: str | None = None
    """Why it waits, as its row says."""
    next_at: datetime | None = None
    """When it is tried again, as its row says; it may be tried before, beside something else of its request."""
    attempts: int = 0
    """How often it was tried for that reason when it was due."""
    behind: tuple["Asked", ...] = ()
    """Facts before it that were found to wait after it was read: it waits on behind each that is not decided since."""

    @property
    def next_hop(self) -> int:
        """How many causes lie before what this message causes; no more than a reader takes."""
        return min(self.hop + 1, MAX_HOP)

    @property
    def is_fact(self) -> bool:
        """Whether another service told it: its request waits for it, as for nothing that a client sends."""
        return self.stream is not None and self.reply_to is None

    def tried(self, reason: str) -> int:
        """How often it was tried before, as far as it has waited for this reason."""
        return self.attempts if self.waited_for == reason else 0

    def is_early(self, reason: str, now: datetime) -> bool:
        """Whether it waits for this reason already and is tried before it is due."""
        return self.waited_for == reason and (self.next_at is None or self.next_at > now)

    def is_decided(self, heard: Mapping[str, int]) -> bool:
        """Whether its stream's position has come to it, or gone past it."""
        return self.stream is not None and (self.sequence or 0) <= heard.get(self.stream, 0)

    def made_at(self) -> datetime:
        """The message's own time, fixed at the first call."""
        if self.at is None:
            self.at = time_of(self.id) or utc_now()
        return self.at


@dataclass(slots=True)
class Outcome:
    """What became of one message.

    Exactly one holds: `refused` is set, `error` is set, `waiting` is true (it will be decided later),
    `duplicate` is true (heard before), or `answer` is the aggregate's answer as JSON.
    """

    subject: UUID
    answer: bytes = b""
    edit_version: int = 0
    sequence: int = 0
    replayed: bool = False
    refused: Refused | None = None
    error: BaseException | None = None
    waiting: bool = False
    duplicate: bool = False
    gap: tuple[str, int] | None = None
    """A stream that jumped, and the position to resend after."""


def refusal_json(refused: Refused) -> str:
    """A refusal as the table of message ids keeps it: without what a stale caller was shown."""
    facts = {name: value for name, value in refused.facts.items() if name != "current"}
    return to_json({"slug": refused.slug, "status": refused.status, "detail": refused.detail, "facts": facts})


def refusal_of(text: str) -> Refused:
    """The refusal that `refusal_json` wrote."""
    found = orjson.loads(text)
    return Remembered(found["slug"], found["status"], found["detail"], found["facts"])
