"""What the service that lacks an effect knows of its cause, and which one command then mends it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis import mending
from cli.reconcile.heard import Heard, Orphan

PLANNED = "notifications.message-planned"
MAIL_ENDS_WITHIN = timedelta(hours=3)
"""Longer than all attempts at a mail take; until then one that is planned is on its way."""


_FACT, _REACTION = "stream", "reaction"


def look_at(request: str) -> str:
    """What shows a request's whole story."""
    return f"throughline trace {request}"


@dataclass(slots=True, frozen=True)
class Held:
    """A message that waits, or a dead letter; put away once an operator has decided that it stays undone."""

    id: int
    event_id: UUID | None
    reason: str
    detail: str
    put_away: bool = False
    kind: str | None = None
    """Of what waits: a fact of a `stream`, a client's `command`, a `reaction`."""
    stream: str | None = None


@dataclass(slots=True, frozen=True)
class Account:
    """Where one request stands in one service."""

    service: str
    known: bool
    heard: Mapping[str, int]
    waiting: Sequence[Held]
    letters: Sequence[Held]

    @classmethod
    def of(cls, service: str, body: Mapping[str, Any]) -> "Account":
        """The answer of a service's door."""
        return cls(service, body["known"], body["heard"], _held(body["waiting"]), _held(body["dead_letters"]))


def _held(rows: Iterable[Mapping[str, Any]]) -> list[Held]:
    return [
        Held(
            row["id"],
            UUID(row["event_id"]) if row["event_id"] else None,
            row["reason"],
            row["detail"],
            row["resolved_at"] is not None,
            row.get("kind", _FACT),
            row["stream"],
        )
        for row in rows
    ]


def judged(orphan: Orphan, account: Account, told: int) -> Orphan | None:
    """The orphan with what its service knows and the command that mends it; None when an operator put it away.

    `told` is how many facts that service has told about the request.
    """
    fact, service, request = orphan.fact, account.service, orphan.request
    assert fact is not None
    if fact.teller == service:
        return _ended(orphan, account)
    letter = next((each for each in account.letters if each.event_id == fact.id), None)
    if letter is not None and letter.put_away:
        return None
    if letter is not None:
        mend = mending.redeliver(service, letter.id)
        return replace(orphan, why=f"dead letter {letter.id}: {_said(letter)}", mend=mend)
    waits = _held_up_by(fact, account)
    if waits is not None:
        return replace(orphan, why=f"waits: {_said(waits)}", mend=mending.retry(request))
    position = account.heard.get(fact.topic, 0)
    if position >= fact.sequence:
        return replace(orphan, why="heard, and nothing came of it: no command makes up for that")
    if told and not account.known:
        return replace(orphan, why=f"its row is gone, though it has told {told} facts: restore it")
    why = f"never came: it has heard {fact.topic} up to {position}"
    return replace(orphan, why=why, mend=mending.resend(service, request))


def _held_up_by(fact: Heard, account: Account) -> Held | None:
    """What waits and is why the effect is missing: the fact itself, or one before it; once it is decided, a reaction.

    Clients' commands hold up no fact, nor does one that was redelivered and has no place on its stream any more.
    """
    itself = next((each for each in account.waiting if each.event_id == fact.id), None)
    if itself is not None:
        return itself
    if account.heard.get(fact.topic, 0) >= fact.sequence:
        return next((each for each in account.waiting if each.kind == _REACTION), None)
    return next((each for each in account.waiting if each.kind == _FACT and each.stream is not None), None)


def _ended(orphan: Orphan, account: Account) -> Orphan:
    """An effect that a service owes to a fact of its own: a mail that comes to no end."""
    assert orphan.fact is not None
    waits = _held_up_by(orphan.fact, account)
    if waits is not None:
        return replace(orphan, why=f"waits: {_said(waits)}", mend=mending.retry(orphan.request))
    return replace(orphan, why="no sender takes it", mend=mending.start(account.service, "sender"))


def _said(held: Held) -> str:
    return mending.said(held.reason, held.detail)
