"""What became true of a thread. Told facts have the contract's fields; `private` ones in events.py never leave."""

from datetime import UTC, datetime
from uuid import UUID

from chassis.decision import Actor, record
from notifications.domain.messages import Cause

ERASED_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that was erased together with a person; whatever was due then is over."""


@record
class ThreadOpened:
    """Noted: a request to tell people about."""

    number: str
    contact_id: UUID
    summary: str | None
    owner_id: UUID | None
    team_id: UUID | None
    live: bool


@record
class ThreadWentLive:
    """Noted: from here on people are told."""


@record
class AssigneeNoted:
    """Noted: who is responsible."""

    owner_id: UUID | None
    team_id: UUID | None


@record
class SummaryNoted:
    """Noted: the summary as it reads now."""

    summary: str | None


@record
class MessagePlanned:
    """Told: somebody is to be told of an event."""

    message_id: UUID
    cause_event_id: UUID
    recipient_id: UUID
    recipient_kind: str
    channel: str
    template: str
    cause: Cause | None = None
    content: dict[str, str] | None = None
    planned_at: datetime = ERASED_AT


@record
class MessageSuppressed:
    """Told: somebody is not told of an event, and why. A mail that was planned ends so too."""

    message_id: UUID
    cause_event_id: UUID
    recipient_id: UUID
    template: str
    reason: str
    cause: Cause | None = None


@record
class AttemptStarted:
    """Noted: from now on the mail may have gone out; its outcome must be known by `deadline`."""

    message_id: UUID
    attempt: int
    deadline: datetime


@record
class AttemptPostponed:
    """Noted: the recipient's address is not known here yet."""

    message_id: UUID
    next_at: datetime


@record
class AttemptFailed:
    """Noted: surely not sent this time; tried again at `next_at`."""

    message_id: UUID
    attempt: int
    next_at: datetime
    detail: str | None = None


@record
class MessageAccepted:
    """Told: the mail server took it."""

    message_id: UUID
    attempts: int
    accepted_at: datetime


@record
class MessageRefused:
    """Told: it will not be sent unless an operator asks again."""

    message_id: UUID
    reason: str
    attempts: int
    detail: str | None = None
    refused_at: datetime = ERASED_AT


@record
class MessageUnknown:
    """Told: it may or may not have been sent; only an operator may send it again."""

    message_id: UUID
    attempts: int
    since: datetime = ERASED_AT


@record
class MessageBounced:
    """Told: it was accepted and came back."""

    message_id: UUID
    reason: str
    detail: str | None = None


@record
class RetryAsked:
    """Noted: an operator wants it sent again."""

    message_id: UUID
    reason: str | None
    asked_by: Actor
    next_at: datetime
