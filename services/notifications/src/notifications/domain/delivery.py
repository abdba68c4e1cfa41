"""How a mail comes to its end: attempts, back-off, outcomes, and what an operator may repeat."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.decision import Known, TimerDue
from notifications.domain import facts, messages
from notifications.domain.planning import NO_ADDRESS, obstacle
from notifications.domain.refusals import AlreadyOnItsWay, MessageUnknownHere, ReasonMissing
from notifications.domain.state import PLANNED, REFUSED, STARTED, TEAM, UNKNOWN, Mail, Thread

BACK_OFF = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
)
OUTCOME_WITHIN = timedelta(minutes=2)
"""Longer than any SMTP dialogue may take; an attempt that has not reported by then lost its sender."""
ADDRESS_WITHIN = timedelta(seconds=60)
ADDRESS_AGAIN = timedelta(seconds=5)
OUTCOME = "outcome"
GIVEN_UP = "given-up"


def start(thread: Thread, asked: messages.Start, now: datetime, known: Known) -> Sequence[Any]:
    """Let one sender try a mail that is due. Nothing for a mail that another has, that is done or not yet due."""
    mail = thread.mail(asked.message_id)
    if mail is None or mail.status != PLANNED or mail.at > now:
        return ()
    if why := obstacle(mail.recipient_kind, mail.recipient_id, mail.template, known):
        return [_suppressed(mail, why)]
    if mail.recipient_kind != TEAM and known.get(mail.recipient_kind, mail.recipient_id) is None:
        return [_address_missing(mail, now)]
    return [facts.AttemptStarted(mail.message_id, mail.attempts + 1, now + OUTCOME_WITHIN)]


def accepted(thread: Thread, report: messages.Accepted, now: datetime) -> Sequence[Any]:
    """The truth may come late: it also settles an attempt that was given up as unknown."""
    mail = _of_attempt(thread, report.message_id, report.attempt)
    return [facts.MessageAccepted(mail.message_id, mail.attempts, now)] if mail else ()


def rejected(thread: Thread, report: messages.Rejected, now: datetime) -> Sequence[Any]:
    """Refused for good."""
    mail = _of_attempt(thread, report.message_id, report.attempt)
    return [facts.MessageRefused(mail.message_id, report.reason, mail.attempts, report.detail, now)] if mail else ()


def failed(thread: Thread, report: messages.Failed, now: datetime) -> Sequence[Any]:
    """Tried again after a while that grows; refused when the last of them has passed."""
    mail = _of_attempt(thread, report.message_id, report.attempt)
    if mail is None:
        return ()
    if mail.tries > len(BACK_OFF):
        return [facts.MessageRefused(mail.message_id, GIVEN_UP, mail.attempts, report.detail, now)]
    next_at = now + BACK_OFF[mail.tries - 1]
    return [facts.AttemptFailed(mail.message_id, mail.attempts, next_at, report.detail)]


def lost(thread: Thread, report: messages.Lost, now: datetime) -> Sequence[Any]:
    """Handed over without an answer: nobody can say whether it was sent."""
    mail = _of_attempt(thread, report.message_id, report.attempt)
    return [facts.MessageUnknown(mail.message_id, mail.attempts, now)] if mail and mail.status == STARTED else ()


def unaddressed(thread: Thread, report: messages.Unaddressed) -> Sequence[Any]:
    """Nobody to send it to after all."""
    mail = _of_attempt(thread, report.message_id, report.attempt)
    return [_suppressed(mail, NO_ADDRESS)] if mail else ()


def doubted(thread: Thread, doubt: messages.Doubt, now: datetime) -> Sequence[Any]:
    """A mail that was due when the schema was lost: it may have gone out, so it is not sent by itself."""
    mail = thread.mail(doubt.message_id)
    if mail is None or mail.status != PLANNED or mail.at > now:
        return ()
    return [facts.MessageUnknown(mail.message_id, mail.attempts, now)]


def overdue(thread: Thread, due: TimerDue, now: datetime) -> Sequence[Any]:
    """The sender of a started attempt died: the outcome is unknown, and is not tried again by itself."""
    mail = thread.mail(UUID(due.ref))
    return [facts.MessageUnknown(mail.message_id, mail.attempts, now)] if mail and mail.status == STARTED else ()


def bounced(thread: Thread, told: messages.Bounce) -> Sequence[Any]:
    """A mail that left came back. One that is still waiting to leave cannot have."""
    mail = thread.mail(told.message_id)
    if mail and mail.status == PLANNED:
        raise AlreadyOnItsWay("the message has not been sent, so it cannot have come back")
    return [facts.MessageBounced(told.message_id, told.reason, told.detail)]


def retry(thread: Thread, asked: messages.Retry, now: datetime) -> Sequence[Any]:
    """Send a refused or unknown mail again, under the same Message-ID."""
    if not asked.reason.strip():
        raise ReasonMissing
    mail = thread.mail(asked.message_id)
    if mail is None:
        raise MessageUnknownHere("no stopped message of this id", message_id=str(asked.message_id))
    if mail.status not in (REFUSED, UNKNOWN):
        raise AlreadyOnItsWay(f"the message is {mail.status}", message_id=str(asked.message_id))
    return [facts.RetryAsked(mail.message_id, asked.reason.strip(), asked.actor, now)]


def _of_attempt(thread: Thread, message_id: UUID, attempt: int) -> Mail | None:
    mail = thread.mail(message_id)
    if mail is None or mail.attempts != attempt or mail.status not in (STARTED, UNKNOWN):
        return None
    return mail


def _suppressed(mail: Mail, why: str) -> facts.MessageSuppressed:
    return facts.MessageSuppressed(mail.message_id, mail.cause_event_id, mail.recipient_id, mail.template, why)


def _address_missing(mail: Mail, now: datetime) -> Any:
    if now >= mail.planned_at + ADDRESS_WITHIN:
        return _suppressed(mail, NO_ADDRESS)
    return facts.AttemptPostponed(mail.message_id, now + ADDRESS_AGAIN)
