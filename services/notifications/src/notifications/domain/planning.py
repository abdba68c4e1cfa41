"""Who is told of an event, and who is not."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from chassis.decision import Known
from notifications.domain import facts
from notifications.domain.messages import Cause
from notifications.domain.state import CONTACT, PERSON, TEAM, Thread

EMAIL = "email"
RECEIVED, WAITING, APPROVAL, BREACHED, CLOSED, MESSAGE = (
    "received",
    "waiting",
    "approval",
    "breached",
    "closed",
    "message",
)
OPTIONAL = frozenset({RECEIVED, CLOSED, MESSAGE})
"""What a contact may opt out of; "waiting" is not among it, because the request stands still until they answer."""

OPTED_OUT, NO_ADDRESS = "opted-out", "no-address"


def message_id(cause: UUID, recipient: UUID, channel: str) -> UUID:
    """The one message about this event to this recipient on this channel, however often the event is heard."""
    return uuid5(cause, f"{recipient}:{channel}")


def tell(
    thread: Thread,
    cause: Cause,
    template: str,
    recipients: Iterable[tuple[str, UUID]],
    content: dict[str, str],
    now: datetime,
    known: Known,
) -> Sequence[Any]:
    """One fact a recipient: a message planned, or suppressed with the reason.

    Nothing for a request of history, and nothing for an event that was told before.
    """
    told = cause.sequence <= (thread.told or {}).get(cause.stream, -1) and not cause.redelivered
    if told or not thread.live:
        return ()
    return [
        _to_one(cause, template, kind, recipient, content, now, known) for kind, recipient in dict.fromkeys(recipients)
    ]


def contact(thread: Thread) -> list[tuple[str, UUID]]:
    """The person the request is for."""
    return [(CONTACT, thread.contact_id)]


def responsible(thread: Thread) -> list[tuple[str, UUID]]:
    """Who answers for the request: its owner, else its team, else nobody."""
    if thread.owner_id:
        return [(PERSON, thread.owner_id)]
    return [(TEAM, thread.team_id)] if thread.team_id else []


def obstacle(kind: str, recipient: UUID, template: str, known: Known) -> str | None:
    """Why this recipient cannot or will not be mailed, as far as is known; None for nobody known (yet)."""
    somebody = known.get(kind, recipient) if kind != TEAM else None
    if somebody is None:
        return None
    if kind == CONTACT and template in OPTIONAL and template in somebody.mail_opt_out:
        return OPTED_OUT
    if not somebody.email or (kind == PERSON and not somebody.active):
        return NO_ADDRESS
    return None


def _to_one(
    cause: Cause, template: str, kind: str, recipient: UUID, content: dict[str, str], now: datetime, known: Known
) -> Any:
    message = message_id(cause.event_id, recipient, EMAIL)
    if why := obstacle(kind, recipient, template, known):
        return facts.MessageSuppressed(message, cause.event_id, recipient, template, why, cause)
    return facts.MessagePlanned(message, cause.event_id, recipient, kind, EMAIL, template, cause, content, now)
