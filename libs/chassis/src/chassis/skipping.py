"""Letting a message go that will never be decided: an operator's refusal, with a reason."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from orjson import loads

from chassis import books, waiting
from chassis.asked import Turned
from chassis.decision import Refused
from chassis.timers import revive_of

if TYPE_CHECKING:
    from chassis.service import Runtime

_WHERE = "SELECT aggregate, subject FROM waiting WHERE id = $1"


class Skipped(Refused):
    """An operator decided that this message is passed over; the detail says why."""

    slug = "skipped"


class NotTheFirst(Refused):
    """An earlier message of the request waits on the same stream: retry or skip that one."""

    slug = "not-the-first"


class MissesEarlier(Refused):
    """What it waits for was never received here, and has been asked for again: it cannot be skipped to."""

    slug = "misses-earlier"


async def skip(runtime: "Runtime", identifier: int, reason: str) -> UUID:
    """Refuse one waiting message, then decide what waited behind it; returns the request.

    The message becomes a dead letter with the reason; a client that sent it is answered. Raises NothingWaits,
    NotTheFirst, MissesEarlier.
    """
    found = await runtime.database.read(_WHERE, identifier)
    if not found:
        raise waiting.NothingWaits(f"no message {identifier} waits")
    aggregate, subject = found[0]
    rows = await waiting.of_subject(runtime.database, aggregate, subject)
    place = next((at for at, row in enumerate(rows) if row["id"] == identifier), None)
    if place is None:
        raise waiting.NothingWaits(f"no message {identifier} waits")
    row = rows[place]
    if row["stream"] is not None and any(each["stream"] == row["stream"] for each in rows[:place]):
        raise NotTheFirst(f"message {rows[0]['id']} waits before it", first=rows[0]["id"])
    if row["stream"] is not None:
        await _follows(runtime, row)
    revive = revive_of(runtime)
    skipped = replace(waiting.revived(revive, row), message=Turned(Skipped(reason)))
    behind = [waiting.revived(revive, each) for each in rows[place + 1 :] if each["stream"] == row["stream"]]
    await runtime.deciders[aggregate].handle_batch([skipped, *behind])
    return UUID(str(subject))


async def _follows(runtime: "Runtime", row: Any) -> None:
    """Raise MissesEarlier when a message is not the next one on its stream, whatever it waits for."""
    stream, sequence = row["stream"], row["sequence"]
    found = await books.row_of(runtime.database, runtime.deciders[row["aggregate"]].aggregate, row["subject"])
    last = loads(found["heard"]).get(stream, 0) if found is not None else 0
    if sequence > last + 1:
        raise MissesEarlier(f"{stream} jumped from {last} to {sequence}")
