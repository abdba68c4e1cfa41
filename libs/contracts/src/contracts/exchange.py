"""What every service tells and takes besides its own facts: answers, resends, dead letters."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import Event, Part, Problem
from contracts.fields import Count, Line, LongText, Slug

OWNER = "every-service"


class CommandAccepted(Event):
    """An inbound command was carried out. Sent once per command, again in the same words when it is repeated."""

    type: ClassVar[str] = "throughline.command-accepted"
    topic: ClassVar[str] = "{service}.results.{client}"
    service: ClassVar[str] = OWNER
    readers: ClassVar[tuple[str, ...]] = ("the client",)

    command_id: UUID
    """The `ce_id` of the command."""
    subject: UUID
    answer: dict[str, Any]
    """What HTTP would have answered."""


class CommandRefused(Event):
    """An inbound command was refused; nothing happened."""

    type: ClassVar[str] = "throughline.command-refused"
    topic: ClassVar[str] = "{service}.results.{client}"
    service: ClassVar[str] = OWNER
    readers: ClassVar[tuple[str, ...]] = ("the client",)

    command_id: UUID
    """The `ce_id` of the command."""
    subject: UUID | None = None
    """The command's `ce_subject`. Without one: the id of what it would have made, or the command's own id."""
    problem: Problem


class ResendAsked(Event):
    """A reader missed facts of a subject and asks its producer for them; they come on `<asker>.resent`."""

    type: ClassVar[str] = "throughline.resend-asked"
    topic: ClassVar[str] = "{service}.asks"
    service: ClassVar[str] = OWNER
    readers: ClassVar[tuple[str, ...]] = ("the producer",)

    asker: Slug
    stream: Line
    """The topic whose facts are missing, without prefix."""
    subject: UUID | None = None
    """Null: every request. What comes then carries the header `ce_history: 1`: nobody is to be told of it anew."""
    after: Count
    """The last sequence that the asker has; 0 when it asks for every request."""


class DeadHeader(Part):
    """A header of the original record."""

    name: str
    value: str | None = None
    """Base64."""


class DeadLetter(Event):
    """A record that cannot be read, whole, with the reason. Kept for operators; nothing reads it by itself."""

    type: ClassVar[str] = "throughline.dead-letter"
    topic: ClassVar[str] = "{service}.dead-letters"
    service: ClassVar[str] = OWNER
    readers: ClassVar[tuple[str, ...]] = ("operators",)

    reason: Slug
    detail: LongText
    original_topic: Line
    original_partition: Count
    original_offset: Count
    original_key: str | None = None
    """Base64."""
    original_headers: Annotated[tuple[DeadHeader, ...], Field(max_length=1000)] = ()
    original_value: str | None = None
    """Base64; null for a tombstone, and for a record that is too large to be told again."""
