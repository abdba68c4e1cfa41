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

_ROW = "SELECT * FROM waiting WHERE id = $1"
_BEFORE = (
    "SELECT id FROM waiting WHERE aggregate = $1 AND subject = $2 AND stream = $3 AND (sequence, id) < ($4, $5) "
    "ORDER BY sequence, id LIMIT 1"
)


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
    found = await runtime.database.read(_ROW, identifier)
    if not found:
        raise waiting.NothingWaits(f"no message {identifier} waits")
    [row] = found
    aggregate, subject, stream = row["aggregate"], row["subject"], row["stream"]
    rows = []
    if stream is not None:
        await _follows(runtime, row)
        rows = await waiting.of_subject(runtime.database, aggregate, subject)
    revive = revive_of(runtime)
    skipped = replace(waiting.revived(revive, row), message=Turned(Skipped(reason)))
    behind = [each for each in rows if each["stream"] == stream and each["id"] != identifier]
    await runtime.deciders[aggregate].handle_batch([skipped, *(waiting.revived(revive, each) for each in behind)])
    return UUID(str(subject))


async def _follows(runtime: "Runtime", row: Any) -> None:
    """Raise NotTheFirst or MissesEarlier when a message is not the next one on its stream, whatever it waits for."""
    stream, sequence = row["stream"], row["sequence"]
    before = await runtime.database.read(_BEFORE, row["aggregate"], row["subject"], stream, sequence, row["id"])
    if before:
        raise NotTheFirst(f"message {before[0]['id']} waits before it", first=before[0]["id"])
    found = await books.row_of(runtime.database, runtime.deciders[row["aggregate"]].aggregate, row["subject"])
    last = loads(found["heard"]).get(stream, 0) if found is not None else 0
    if sequence > last + 1:
        raise MissesEarlier(f"{stream} jumped from {last} to {sequence}")
