"""Bodies of answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.base import Part
from notifications.domain.state import Mail, Thread


class Delivery(Part):
    """A message and what became of it. Who may see only their own sees no address and no text, only this."""

    message_id: UUID
    request_id: UUID
    number: str | None
    cause_event_id: UUID
    recipient_id: UUID
    recipient_kind: str | None
    channel: str
    template: str
    status: str
    attempts: int | None
    reason: str | None
    detail: str | None
    planned_at: datetime
    next_at: datetime | None
    changed_at: datetime


def answer(request: UUID, thread: Thread, mail: Mail | None) -> dict[str, Any]:
    """How a thread stands; with the mail whose attempt was just started, for the sender."""
    standing: dict[str, Any] = {
        "request_id": request,
        "number": thread.number,
        "open_messages": [{"message_id": one.message_id, "status": one.status} for one in thread.mails],
    }
    if mail is not None:
        standing["mail"] = {
            "message_id": mail.message_id,
            "attempt": mail.attempts,
            "recipient_kind": mail.recipient_kind,
            "recipient_id": mail.recipient_id,
            "template": mail.template,
            "content": mail.content,
            "summary": thread.summary,
        }
    return standing
