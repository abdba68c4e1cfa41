"""From a started attempt to the mail: who it reaches, in which language, with what in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from notifications.domain.records import Contact, Person
from notifications.domain.state import CONTACT, PERSON
from notifications.sender.rendering import DEFAULT_LOCALE, Envelope, Unsendable, compose, render

LINK_SCHEMES = ("https", "http")


@dataclass(frozen=True)
class Started:
    """An attempt that the decider has let begin."""

    request_id: UUID
    number: str
    message_id: UUID
    attempt: int
    recipient_kind: str
    recipient_id: UUID
    template: str
    content: Mapping[str, str]
    summary: str | None

    @staticmethod
    def of(answer: Mapping[str, Any]) -> "Started | None":
        """The attempt in a decider's answer; None when there was nothing to start."""
        mail = answer.get("mail")
        if mail is None:
            return None
        return Started(
            UUID(answer["request_id"]),
            answer["number"],
            UUID(mail["message_id"]),
            mail["attempt"],
            mail["recipient_kind"],
            UUID(mail["recipient_id"]),
            mail["template"],
            mail["content"],
            mail["summary"],
        )


@dataclass(frozen=True)
class Addressee:
    """Who a mail goes to: one person, or the members of a team together."""

    addresses: tuple[str, ...]
    name: str
    locale: str = DEFAULT_LOCALE


def addressee(
    started: Started, contact: Contact | None, person: Callable[[UUID], Person | None], people: Sequence[Person]
) -> Addressee | None:
    """Who an attempt's mail goes to now; None when nobody can be reached."""
    if started.recipient_kind == CONTACT:
        return _contact(contact)
    if started.recipient_kind == PERSON:
        return _person(person(started.recipient_id))
    return _team(started.recipient_id, people)


def make(started: Started, who: Addressee, sender: str, portal: str | None, date: datetime) -> bytes:
    """The mail of an attempt; raises Unsendable when none can be made of it."""
    values: dict[str, str] = {
        "name": who.name,
        "number": started.number,
        "summary": started.summary or "(no summary)",
        "link": _link(portal, started.request_id),
        "due_at": "",
        **started.content,
    }
    if due := started.content.get("due_at"):
        values["due_at"] = datetime.fromisoformat(due).strftime("%Y-%m-%d %H:%M UTC")
    envelope = Envelope(sender, who.addresses, started.message_id, started.request_id, date)
    return compose(render(started.template, who.locale, values), envelope)


def _contact(contact: Contact | None) -> Addressee | None:
    if contact is None or not contact.email:
        return None
    return Addressee((contact.email,), contact.name or "customer", contact.locale)


def _person(person: Person | None) -> Addressee | None:
    if person is None or not person.active or not person.email:
        return None
    return Addressee((person.email,), person.name or "colleague")


def _team(team: UUID, people: Sequence[Person]) -> Addressee | None:
    """Everybody who is in the team now, in a fixed order."""
    addresses = sorted({one.email for one in people if one.active and one.email and team in one.teams})
    return Addressee(tuple(addresses), "colleagues") if addresses else None


def _link(portal: str | None, request: UUID) -> str:
    if not portal:
        return ""
    if urlsplit(portal).scheme not in LINK_SCHEMES:
        raise Unsendable("the portal's address is neither http nor https")
    return f"{portal.rstrip('/')}/requests/{request}"
