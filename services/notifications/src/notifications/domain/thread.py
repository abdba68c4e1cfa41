"""The aggregate: what a thread decides, how its facts fold, and what must happen by itself."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Known, Recalled, TimerDue, changed
from notifications.domain import delivery, facts, messages, planning
from notifications.domain.refusals import RequestUnknown
from notifications.domain.state import PERSON, PLANNED, REFUSED, STARTED, UNKNOWN, Mail, Thread

STOPPED_KEPT = 20
"""How many stopped mails of a request stay repeatable; older ones remain in the delivery list only."""


def decide(thread: Thread | None, message: Any, now: datetime, known: Known) -> Sequence[Any]:
    """What follows from a message. A thread begins with its request's opening; anything earlier waits for it."""
    if isinstance(message, messages.Open):
        return _open(thread, message, now, known)
    if thread is None:
        raise RequestUnknown
    return _DECIDE[type(message)](thread, message, now, known)


def complete(thread: Thread | None, fact: Any, recalled: Recalled) -> Any:
    """A fact read back from its topic, with the time that stayed here."""
    match fact:
        case facts.MessagePlanned(planned_at=facts.ERASED_AT):
            return changed(fact, planned_at=recalled.at)
        case facts.MessageRefused(refused_at=facts.ERASED_AT):
            return changed(fact, refused_at=recalled.at)
        case facts.MessageUnknown(since=facts.ERASED_AT):
            return changed(fact, since=recalled.at)
    return fact


def agenda(thread: Thread) -> dict[tuple[str, str], datetime]:
    """When an attempt's outcome must be known."""
    return {(delivery.OUTCOME, str(mail.message_id)): mail.at for mail in thread.mails if mail.status == STARTED}


def evolve(thread: Thread | None, fact: Any) -> Thread:
    """The thread after a fact."""
    if isinstance(fact, facts.ThreadOpened):
        return Thread(fact.number, fact.contact_id, fact.summary, fact.live, fact.owner_id, fact.team_id)
    assert thread is not None
    return _EVOLVE[type(fact)](thread, fact)


def _open(thread: Thread | None, opened: messages.Open, now: datetime, known: Known) -> Sequence[Any]:
    if thread is not None:
        return ()
    fact = facts.ThreadOpened(
        opened.number, opened.contact_id, opened.summary, opened.owner_id, opened.team_id, opened.live
    )
    begun = evolve(None, fact)
    return [fact, *planning.tell(begun, opened.cause, planning.RECEIVED, planning.contact(begun), {}, now, known)]


def _go_live(thread: Thread, message: messages.GoLive, now: datetime, known: Known) -> Sequence[Any]:
    return () if thread.live else [facts.ThreadWentLive()]


def _assign(thread: Thread, message: messages.Assign, now: datetime, known: Known) -> Sequence[Any]:
    return [facts.AssigneeNoted(message.owner_id, message.team_id)]


def _rename(thread: Thread, message: messages.Rename, now: datetime, known: Known) -> Sequence[Any]:
    return [facts.SummaryNoted(message.summary)]


def _waiting(thread: Thread, message: messages.TellWaiting, now: datetime, known: Known) -> Sequence[Any]:
    content = {"reason": message.reason}
    return planning.tell(thread, message.cause, planning.WAITING, planning.contact(thread), content, now, known)


def _breached(thread: Thread, message: messages.TellBreached, now: datetime, known: Known) -> Sequence[Any]:
    content = {"due_at": message.due_at.isoformat(), "overdue_seconds": str(message.overdue_seconds)}
    return planning.tell(thread, message.cause, planning.BREACHED, planning.responsible(thread), content, now, known)


def _posted(thread: Thread, message: messages.TellPosted, now: datetime, known: Known) -> Sequence[Any]:
    content = {"text": message.text or ""}
    return planning.tell(thread, message.cause, planning.MESSAGE, planning.contact(thread), content, now, known)


def _closed(thread: Thread, message: messages.TellClosed, now: datetime, known: Known) -> Sequence[Any]:
    content = {"outcome": message.outcome}
    return planning.tell(thread, message.cause, planning.CLOSED, planning.contact(thread), content, now, known)


def _approvers(thread: Thread, message: messages.TellApprovers, now: datetime, known: Known) -> Sequence[Any]:
    content = {"due_at": message.due_at.isoformat()} if message.due_at else {}
    approvers = [(PERSON, person) for person in message.approvers]
    return planning.tell(thread, message.cause, planning.APPROVAL, approvers, content, now, known)


_DECIDE: dict[type, Callable[[Thread, Any, datetime, Known], Sequence[Any]]] = {
    messages.GoLive: _go_live,
    messages.Assign: _assign,
    messages.Rename: _rename,
    messages.TellWaiting: _waiting,
    messages.TellBreached: _breached,
    messages.TellPosted: _posted,
    messages.TellClosed: _closed,
    messages.TellApprovers: _approvers,
    messages.Start: delivery.start,
    messages.Accepted: lambda thread, message, now, known: delivery.accepted(thread, message, now),
    messages.Rejected: lambda thread, message, now, known: delivery.rejected(thread, message, now),
    messages.Failed: lambda thread, message, now, known: delivery.failed(thread, message, now),
    messages.Lost: lambda thread, message, now, known: delivery.lost(thread, message, now),
    messages.Unaddressed: lambda thread, message, now, known: delivery.unaddressed(thread, message),
    messages.Doubt: lambda thread, message, now, known: delivery.doubted(thread, message, now),
    messages.Bounce: lambda thread, message, now, known: delivery.bounced(thread, message),
    messages.Retry: lambda thread, message, now, known: delivery.retry(thread, message, now),
    TimerDue: lambda thread, message, now, known: delivery.overdue(thread, message, now),
}


def _planned(thread: Thread, fact: facts.MessagePlanned) -> Thread:
    mail = Mail(
        fact.message_id,
        fact.cause_event_id,
        fact.recipient_id,
        fact.recipient_kind,
        fact.template,
        fact.content or {},
        PLANNED,
        0,
        0,
        fact.planned_at,
        fact.planned_at,
    )
    return _told(changed(thread, mails=(*thread.mails, mail)), fact.cause)


def _suppressed(thread: Thread, fact: facts.MessageSuppressed) -> Thread:
    return _without(_told(thread, fact.cause), fact.message_id)


def _started(thread: Thread, fact: facts.AttemptStarted) -> Thread:
    mail = thread.mail(fact.message_id)
    tries = mail.tries + 1 if mail else 1
    return _with(thread, fact.message_id, status=STARTED, attempts=fact.attempt, tries=tries, at=fact.deadline)


def _told(thread: Thread, cause: messages.Cause | None) -> Thread:
    if cause is None:
        return thread
    told = thread.told or {}
    return changed(thread, told={**told, cause.stream: max(cause.sequence, told.get(cause.stream, cause.sequence))})


def _with(thread: Thread, message_id: UUID, **fields: Any) -> Thread:
    mails = tuple(changed(mail, **fields) if mail.message_id == message_id else mail for mail in thread.mails)
    return changed(thread, mails=mails)


def _without(thread: Thread, message_id: UUID) -> Thread:
    return changed(thread, mails=tuple(mail for mail in thread.mails if mail.message_id != message_id))


def _stopped(thread: Thread, fact: facts.MessageRefused | facts.MessageUnknown, status: str, at: datetime) -> Thread:
    """The mail with its new status; the oldest stopped ones beyond the bound are let go."""
    thread = _with(thread, fact.message_id, status=status, attempts=fact.attempts, at=at)
    stopped = sorted((mail for mail in thread.mails if mail.status in (REFUSED, UNKNOWN)), key=lambda mail: mail.at)
    for mail in stopped[:-STOPPED_KEPT]:
        thread = _without(thread, mail.message_id)
    return thread


_EVOLVE: dict[type, Callable[[Thread, Any], Thread]] = {
    facts.ThreadWentLive: lambda thread, fact: changed(thread, live=True),
    facts.AssigneeNoted: lambda thread, fact: changed(thread, owner_id=fact.owner_id, team_id=fact.team_id),
    facts.SummaryNoted: lambda thread, fact: changed(thread, summary=fact.summary),
    facts.MessagePlanned: _planned,
    facts.MessageSuppressed: _suppressed,
    facts.AttemptStarted: _started,
    facts.AttemptPostponed: lambda thread, fact: _with(thread, fact.message_id, at=fact.next_at),
    facts.AttemptFailed: lambda thread, fact: _with(thread, fact.message_id, status=PLANNED, at=fact.next_at),
    facts.MessageAccepted: lambda thread, fact: _without(thread, fact.message_id),
    facts.MessageRefused: lambda thread, fact: _stopped(thread, fact, REFUSED, fact.refused_at),
    facts.MessageUnknown: lambda thread, fact: _stopped(thread, fact, UNKNOWN, fact.since),
    facts.MessageBounced: lambda thread, fact: _without(thread, fact.message_id),
    facts.RetryAsked: lambda thread, fact: _with(thread, fact.message_id, status=PLANNED, tries=0, at=fact.next_at),
}
