"""What notifications tells: what became of each message to a recipient. And what it takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from contracts.base import Event
from contracts.commands.notifications import RetryMessage
from contracts.fields import Count, Instant, Known, Slug

__all__ = [
    "MessageAccepted",
    "MessageBounced",
    "MessagePlanned",
    "MessageRefused",
    "MessageSuppressed",
    "MessageUnknown",
    "RetryMessage",
]


class _Told(Event):
    topic: ClassVar[str] = "notifications.messages"
    service: ClassVar[str] = "notifications"
    readers: ClassVar[tuple[str, ...]] = ("insights",)


class MessagePlanned(_Told):
    """A message will be sent. One per (cause event, recipient, channel), whatever is delivered twice."""

    type: ClassVar[str] = "notifications.message-planned"

    message_id: UUID
    cause_event_id: UUID
    recipient_id: UUID
    recipient_kind: Annotated[Slug, Known("person", "contact")]
    channel: Annotated[Slug, Known("email")]
    template: Slug


class MessageSuppressed(_Told):
    """A message was due by rule and is not sent."""

    type: ClassVar[str] = "notifications.message-suppressed"

    message_id: UUID | None = None
    cause_event_id: UUID
    recipient_id: UUID
    template: Slug
    reason: Annotated[Slug, Known("opted-out", "no-address", "history")]


class MessageAccepted(_Told):
    """The next mail server took the message."""

    type: ClassVar[str] = "notifications.message-accepted"

    message_id: UUID
    attempts: Count
    accepted_at: Instant


class MessageRefused(_Told):
    """The next mail server refused the message for good, or the attempts are used up."""

    type: ClassVar[str] = "notifications.message-refused"

    message_id: UUID
    reason: Slug
    attempts: Count


class MessageBounced(_Told):
    """An accepted message came back."""

    type: ClassVar[str] = "notifications.message-bounced"

    message_id: UUID
    reason: Slug


class MessageUnknown(_Told):
    """Nobody knows whether the message went out: the sender died between trying and hearing. Never sent again alone."""

    type: ClassVar[str] = "notifications.message-unknown"

    message_id: UUID
    attempts: Count
