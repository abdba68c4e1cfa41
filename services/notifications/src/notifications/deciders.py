"""The aggregate of this service: a thread per request."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.aggregate import Aggregate, Child
from notifications import schemas, tables
from notifications.domain import facts, messages, planning
from notifications.domain.state import PLANNED, REFUSED, STARTED, UNKNOWN, Thread
from notifications.domain.thread import agenda, complete, decide, evolve
from notifications.events import CODEC

SUPPRESSED, ACCEPTED, BOUNCED = "suppressed", "accepted", "bounced"


def _children(request: UUID, thread: Thread, fact: Any, now: datetime) -> Iterable[Child]:
    if isinstance(fact, facts.MessagePlanned):
        yield _message(request, fact, fact.recipient_kind, now)
    elif isinstance(fact, facts.MessageSuppressed) and fact.cause:
        yield _message(request, fact, None, now)
    standing = _standing(fact)
    if standing:
        status, attempts, reason, detail, next_at = standing
        row = {
            "message_id": fact.message_id,
            "request_id": request,
            "status": status,
            "attempts": attempts,
            "reason": reason,
            "detail": detail,
            "next_at": next_at,
            "changed_at": now,
            "picked_until": None,
        }
        yield Child(tables.deliveries, row)


def _message(
    request: UUID, fact: facts.MessagePlanned | facts.MessageSuppressed, kind: str | None, now: datetime
) -> Child:
    return Child(
        tables.messages,
        {
            "message_id": fact.message_id,
            "request_id": request,
            "cause_event_id": fact.cause_event_id,
            "recipient_id": fact.recipient_id,
            "recipient_kind": kind,
            "channel": planning.EMAIL,
            "template": fact.template,
            "planned_at": now,
        },
    )


def _standing(fact: Any) -> tuple[str, int | None, str | None, str | None, datetime | None] | None:
    """A delivery after a fact: status, attempts, reason, detail, and when the sender may look at it again."""
    match fact:
        case facts.MessagePlanned():
            return PLANNED, 0, None, None, fact.planned_at
        case facts.MessageSuppressed():
            return SUPPRESSED, None, fact.reason, None, None
        case facts.AttemptStarted():
            return STARTED, fact.attempt, None, None, None
        case facts.AttemptPostponed():
            return PLANNED, None, "address-awaited", None, fact.next_at
        case facts.AttemptFailed():
            return PLANNED, fact.attempt, "failed", fact.detail, fact.next_at
        case facts.MessageAccepted():
            return ACCEPTED, fact.attempts, None, None, None
        case facts.MessageRefused():
            return REFUSED, fact.attempts, fact.reason, fact.detail, None
        case facts.MessageUnknown():
            return UNKNOWN, fact.attempts, "no-answer", None, None
        case facts.MessageBounced():
            return BOUNCED, None, fact.reason, fact.detail, None
        case facts.RetryAsked():
            return PLANNED, None, "retry-asked", None, fact.next_at
    return None


def _answer(request: UUID, thread: Thread, seen: Sequence[Any]) -> dict[str, Any]:
    """What the sender needs to make the mail that it may now send; else how the thread stands."""
    started = next((fact for fact in seen if isinstance(fact, facts.AttemptStarted)), None)
    mail = thread.mail(started.message_id) if started else None
    return schemas.answer(request, thread, mail)


def _persons(thread: Thread) -> Iterable[UUID]:
    return (thread.contact_id,)


def _refs(message: Any) -> Iterable[tuple[str, str]]:
    if isinstance(message, messages.Open):
        yield "contact", str(message.contact_id)


THREADS: Aggregate[Thread] = Aggregate(
    name="thread",
    table=tables.threads,
    state=Thread,
    shape=1,
    codec=CODEC,
    decide=decide,
    evolve=evolve,
    answer=_answer,
    agenda=agenda,
    columns=lambda thread: {"contact_id": thread.contact_id, "number": thread.number},
    children=_children,
    persons=_persons,
    refs=_refs,
    edits=frozenset({facts.RetryAsked}),
    contact_column="contact_id",
    complete=complete,
)
