"""What the load asked for, operation by operation, and what it was told: ok, refused, or nothing at all."""

import math
import re
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal
from uuid import UUID

from cli.demo.crm import Crm
from cli.door import Answer, Doors, Refused, Unanswered
from contracts.base import Command
from testkit.chaos.answers import Failure, listen

Outcome = Literal["ok", "refused", "unknown"]
Position = tuple[str, UUID, int]
"""(topic, request, sequence)"""
LOOKS = frozenset({"read", "list"})
"""Operations that change nothing."""

DUE: ContextVar[float | None] = ContextVar("DUE", default=None)
"""When the submission of this life was due, on the clock of `time.monotonic`."""

CLOSED = "closed"
"""What a request is called that is closed, by whoever shows one; and whether it is, among what is shown of it."""
_COUNTS = {"note_no": "notes", "charge_revision": "charges", "revision": "charges"}
"""Numbers that are shown of a request and only grow, by the names that doors have for them."""
_POSITION = "throughline-position"
_SUBJECT = re.compile(r"/requests/(?P<subject>[0-9a-f-]{36})(?:/(?P<what>[a-z-]+))?$")
_BY_PATH = {"notes": "note", "messages": "message", "charges": "charge", "decisions": "vote", "approvals": "read"}
_BY_COMMAND = {
    "AddNote": "note",
    "PostMessage": "message",
    "LogCharge": "charge",
    "Submit": "submit",
    "TakeOver": "take-over",
}


@dataclass(slots=True)
class Operation:
    """One thing asked. `seconds` count from when it was due, not from when there was time for it."""

    what: str
    """submit, progress, charge, vote, read, list …"""
    key: str
    via: Literal["http", "topic"]
    outcome: Outcome
    seconds: float
    subject: UUID | None = None
    """The request; of a submission only once it is answered."""
    marker: str = ""
    """What a submission's summary ends with: by it the request is found when nobody answered."""
    slug: str = ""
    status: int = 0
    """Of a refusal."""
    position: Position | None = None
    """What the answer says is durable."""
    who: str = ""
    place: str = ""
    """The service that was asked."""
    began: float = 0.0
    """On the clock of `time.monotonic`, as is `ended`."""
    ended: float = 0.0
    awaited: Position | None = None
    """What a read was to wait for."""
    shown: Mapping[str, int] = field(default_factory=dict)
    """What the answer shows of the request, `shown_of`."""
    listed: tuple[UUID, ...] = ()
    """The requests that a list shows."""


@dataclass
class Operations:
    """Every operation of a run, in the order of their ends."""

    all: list[Operation] = field(default_factory=list)
    last: dict[UUID, Operation] = field(default_factory=dict)
    """What was last accepted about each request, reads apart."""
    failures: list[Failure] = field(default_factory=list)
    """What doors answered that could do nothing at the moment, attempt by attempt."""

    def add(self, operation: Operation) -> None:
        """Enter one."""
        self.all.append(operation)
        if operation.subject is not None and operation.outcome == "ok" and operation.what not in LOOKS:
            self.last[operation.subject] = operation

    def about(self, subjects: Container[UUID], made: Mapping[str, set[UUID]]) -> "Operations":
        """Those about some requests, about none, and those of which nothing was made: `made` says what was made."""

        def concerns(each: Operation) -> bool:
            if each.subject is not None:
                return each.subject in subjects
            return not each.marker or all(subject in subjects for subject in made.get(each.marker, ()))

        return Operations([each for each in self.all if concerns(each)])

    def submissions(self, outcome: Outcome) -> list[Operation]:
        """Those that were to make a request, by outcome."""
        return [each for each in self.all if each.what == "submit" and each.outcome == outcome]

    def counts(self) -> dict[str, int]:
        """How many ended in which way."""
        found = Counter(each.outcome for each in self.all)
        return {outcome: found[outcome] for outcome in ("ok", "refused", "unknown")}


def percentile(ascending: Sequence[float], part: float) -> float:
    """The value below which `part` of all lie; 0 of none."""
    return ascending[min(len(ascending) - 1, math.ceil(part * len(ascending)) - 1)] if ascending else 0.0


def marker_of(summary: object) -> str:
    """The mark at the end of a summary: `… [mark]`."""
    found = re.search(r"\[([^\]]+)\]$", str(summary or ""))
    return found[1] if found else ""


def position_of(header: str | None) -> Position | None:
    """What `Throughline-Position` says: `topic/request@sequence`."""
    if not header or "@" not in header:
        return None
    place, _, sequence = header.rpartition("@")
    topic, _, subject = place.rpartition("/")
    return topic, UUID(subject), int(sequence)


def header_of(position: Position | None) -> str | None:
    """The position as `Throughline-Position` says it; `position_of` reads it back."""
    return None if position is None else "{}/{}@{}".format(*position)


def shown_of(etag: str | None, body: Any) -> dict[str, int]:
    """What an answer shows of a request: its version, its numbers of notes and charges, and whether it is closed."""
    found = {} if etag is None else {"version": int(etag.strip('"'))}
    if isinstance(body, dict):
        found |= {name: body[told] for told, name in _COUNTS.items() if isinstance(body.get(told), int)}
        stands = body.get("state", body.get("status"))
        if stands is not None or CLOSED in body:
            found[CLOSED] = int(stands == CLOSED or body.get(CLOSED) is True)
    return found


def listed_in(body: Any) -> tuple[UUID, ...]:
    """The requests that a page of a list shows, whichever service's it is."""
    return tuple(UUID(item.get("request_id", item.get("id"))) for item in body["items"])


def act_of(method: str, path: str) -> tuple[str, UUID | None]:
    """What a call to a door asks for, and about which request."""
    if method == "GET":
        found = _SUBJECT.search(path)
        return ("list", None) if path == "/requests" else ("read", UUID(found["subject"]) if found else None)
    if path == "/requests":
        return "submit", None
    found = _SUBJECT.search(path)
    if found is None:
        return path.strip("/"), None
    what = found["what"] or "edit"
    return _BY_PATH.get(what, what), UUID(found["subject"])


def _due(what: str) -> float:
    due = DUE.get()
    return due if what == "submit" and due is not None else time.monotonic()


class RecordingDoors(Doors):
    """Doors that enter every call and its outcome; `patience` 0 makes a caller who asks once and never again."""

    def __init__(self, operations: Operations, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.operations = operations
        listen(chain.from_iterable(self._clients.values()), operations.failures)

    async def get_at(self, position: Position | None, who: str, service: str, path: str) -> Answer:
        """Read something once a position is heard there."""
        said = header_of(position)
        headers = {} if said is None else {_POSITION: said}
        return await self._call("GET", who, service, path, headers=headers)

    async def _call(self, method: str, who: str, service: str, path: str, **options: Any) -> Answer:
        what, subject = act_of(method, path)
        body, headers = options.get("json") or {}, options.get("headers", {})
        key = headers.get("idempotency-key", "")
        told = Operation(what, key, "http", "unknown", 0.0, subject, marker_of(body.get("summary")))
        told.who, told.place, told.awaited = who, service, position_of(headers.get(_POSITION))
        due, told.began = _due(what), time.monotonic()
        try:
            answer = await super()._call(method, who, service, path, **options)
        except Refused as refused:
            told.outcome, told.slug, told.status = "refused", refused.slug, refused.status
            raise
        except Unanswered:
            raise
        else:
            told.outcome, told.position = "ok", position_of(answer.position)
            if what == "list":
                told.listed = listed_in(answer.body)
            else:
                told.shown = shown_of(answer.etag, answer.body)
            if what == "submit":
                told.subject = UUID(str(answer.body["request_id"]))
            return answer
        finally:
            told.ended = time.monotonic()
            told.seconds = told.ended - due
            self.operations.add(told)


class RecordingCrm(Crm):
    """The other system, every command and its outcome entered."""

    def __init__(self, operations: Operations, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._operations = operations

    async def command(self, kind: type[Command], subject: UUID, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        what = _BY_COMMAND.get(kind.__name__, kind.__name__.lower())
        about = None if what == "submit" else subject
        told = Operation(what, key, "topic", "unknown", 0.0, about, marker_of(body.get("summary")), place=kind.service)
        due, told.began = _due(what), time.monotonic()
        try:
            answer = await super().command(kind, subject, body, key)
        except Refused as refused:
            told.outcome, told.slug, told.status = "refused", refused.slug, refused.status
            raise
        else:
            told.outcome, told.shown = "ok", shown_of(None, answer)
            if what == "submit":
                told.subject = UUID(str(answer["request_id"]))
            return answer
        finally:
            told.ended = time.monotonic()
            told.seconds = told.ended - due
            self._operations.add(told)
