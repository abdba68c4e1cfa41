"""A batch decided in memory: message by message, in order, each against the state that the ones before it left."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from orjson import loads

from chassis.aggregate import Aggregate
from chassis.asked import (
    Asked,
    KeyReused,
    NumberMissing,
    NumberUsed,
    Outcome,
    StaleVersion,
    Turned,
    Undecodable,
    refusal_of,
)
from chassis.changes import UNKNOWN, Answer, Changes, Entry, Wait, derived
from chassis.claiming import Claims
from chassis.decision import Refused, Unknown
from chassis.documents import Documents, Lookup
from chassis.drawing import Numbers
from chassis.journal import to_json
from chassis.reading import Reading

S = TypeVar("S")
log = structlog.get_logger(__name__)

BACK_OFF = tuple(timedelta(seconds=s) for s in (0.1, 1, 5, 30, 300, 1800))
"""When a waiting message is tried again; after the last an operator decides."""
UNKNOWN_FOR = timedelta(seconds=60)
"""How long a message waits for a request or document that is not known here."""
GAP_RETRY = timedelta(seconds=20)


class Fold(Generic[S]):
    """Decides the messages of one batch. Nothing here touches the database or the clock."""

    def __init__(
        self,
        aggregate: Aggregate[S],
        documents: Documents,
        reading: Reading[S],
        drawn: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.aggregate = aggregate
        self.now = reading.now
        self.entries = {
            subject: Entry(subject, row, row.heard, row.sequence, row.edit_version, row.blocked)
            for subject, row in reading.rows.items()
        }
        self.changes = Changes()
        self.missed: list[tuple[str, str]] = []
        self._documents = documents
        self.claims = Claims(aggregate, reading.holders)
        self._reading = replace(reading, holders=self.claims.held)
        self._numbers = {series: list(numbers) for series, numbers in reading.numbers.items()}
        self.draws = Numbers(drawn)
        self._answered: dict[UUID, tuple[bytes | None, Outcome]] = {}
        self._stuck: set[tuple[UUID, str | None]] = set()
        """What must wait behind an earlier fact: a subject with one stream, or (None) with all of them."""
        self._early: set[tuple[UUID, str]] = set()
        """Subjects with a client's numbering of which a command waits: what it numbered after that waits as well."""

    # -- one message ---------------------------------------------------------------------------------------------

    def take(self, asked: Asked) -> Outcome:
        """Decide one message. Whatever happens concerns this message alone."""
        entry = self.entries[asked.subject]
        if isinstance(asked.message, Turned):
            if asked.waiting_id is not None:
                return self._refused(entry, asked, asked.message.refused)
            outcome = Outcome(asked.subject, refused=asked.message.refused)
            self._answer(asked, outcome)
            in_order = asked.stream is not None and asked.sequence == entry.heard.get(asked.stream, 0) + 1
            if in_order and entry.was.broken is None:
                self._heard(entry, asked)
            return outcome
        if asked.message is not None and entry.was.broken is not None:
            return self._failed(entry, asked, entry.was.broken)
        if asked.remember and (replay := self._replay(asked)) is not None:
            self._settle_waiting(asked)
            if asked.reply_to is not None:
                self.changes.answers.append(Answer(asked, replay))
            return replay
        if asked.stream is not None and (early := self._position(entry, asked)) is not None:
            return early
        if isinstance(asked.message, Undecodable):
            return self._postpone(entry, asked, asked.message.reason, asked.message.detail)
        if asked.message is None:
            self._heard(entry, asked)
            self._settle_waiting(asked)
            return Outcome(asked.subject)
        try:
            outcome = self._decide(entry, asked)
        except Refused as refused:
            return self._refused(entry, asked, refused)
        except Exception as error:
            return self._failed(entry, asked, error)
        self._heard(entry, asked)
        self._settle_waiting(asked)
        return outcome

    def _replay(self, asked: Asked) -> Outcome | None:
        kept = self._reading.ids.get(asked.id)
        if kept is None:
            if asked.id not in self._answered:
                return None
            hashed, first = self._answered[asked.id]
            if hashed != asked.request_hash:
                return Outcome(asked.subject, refused=KeyReused("this key was used before with other content"))
            return Outcome(
                first.subject, first.answer, first.edit_version, first.sequence, replayed=True, refused=first.refused
            )
        if kept.hash is not None and asked.request_hash is not None and kept.hash != asked.request_hash:
            return Outcome(asked.subject, refused=KeyReused("this key was used before with other content"))
        outcome = Outcome(kept.subject, (kept.answer or "").encode(), kept.edit_version, kept.sequence, replayed=True)
        if kept.refused is not None:
            outcome.refused = refusal_of(kept.refused)
        return outcome

    def _decide(self, entry: Entry[S], asked: Asked) -> Outcome:
        aggregate, state = self.aggregate, entry.state
        lookup = Lookup(self._documents, self._reading, self._numbers, asked)
        try:
            facts = aggregate.decide(state, asked.message, self.now, lookup)
        except Unknown as unknown:
            facts = self._in_vain(state, asked, unknown)
        finally:
            self.missed += lookup.missed
        if asked.expect is not None and asked.expect != entry.edit_version:
            # Only after the decision: who may not do this at all learns nothing of how it stands.
            current = None if state is None else loads(to_json(aggregate.answer(asked.subject, state, ())))
            raise StaleVersion("it was edited meanwhile", edit_version=entry.edit_version, current=current)
        with self.draws:
            found = derived(aggregate, entry, asked, map(self.draws.fill, facts), self.now)
            answer = b""
            if found.state is not None and self._answers(asked):
                answer = to_json(aggregate.answer(asked.subject, found.state, facts)).encode()
            if facts:
                self.claims.follow(entry.subject, state, found.state)
        # Nothing above has left a trace: an exception anywhere before this line changes nothing.
        if facts:
            if entry.state is None and entry.blocked is not None:
                self.changes.due_now.add(entry.subject)  # what waited for it to be here
            entry.become(found)
            self.changes.add(found)
        outcome = Outcome(asked.subject, answer, entry.edit_version, entry.sequence)
        self._answer(asked, outcome)
        return outcome

    def _in_vain(self, state: S | None, asked: Asked, unknown: Unknown) -> Sequence[Any]:
        """What is stated of a fact that waited long enough for what it names; `unknown` again when it is nothing."""
        in_vain = asked.is_fact and self._waited(asked)
        facts = self.aggregate.in_vain(state, asked.message, unknown, self.now) if in_vain else ()
        if not facts:
            raise unknown
        return facts

    def _waited(self, asked: Asked) -> bool:
        return self.now - (asked.waited_since or self.now) >= UNKNOWN_FOR

    @staticmethod
    def _answers(asked: Asked) -> bool:
        return asked.stream is None or asked.remember or asked.reply_to is not None

    def _answer(self, asked: Asked, outcome: Outcome) -> None:
        if asked.remember or asked.reply_to is not None:
            self.changes.answers.append(Answer(asked, outcome))
            self._answered[asked.id] = (asked.request_hash, outcome)

    # -- positions -----------------------------------------------------------------------------------------------

    def _position(self, entry: Entry[S], asked: Asked) -> Outcome | None:
        """None when the message is next on its stream; else what becomes of it."""
        assert asked.stream is not None
        assert asked.sequence is not None
        last = entry.heard.get(asked.stream, 0)
        if asked.sequence <= last:
            if asked.reply_to is not None:
                return self._told(entry, asked, NumberUsed(f"number {asked.sequence} was used before"))
            self._settle_waiting(asked)
            return Outcome(asked.subject, duplicate=True)
        if not all(each.is_decided(entry.heard) for each in asked.behind):
            self._stick(asked, None)
        place = entry.subject, asked.stream
        if place in self._early or self._stuck & {(entry.subject, None), place}:
            return self._behind(entry, asked)
        blocked = entry.blocked if asked.waiting_id is None and not entry.waits_elsewhere(asked.stream) else None
        if blocked is not None and blocked != f"gap:{asked.stream}":
            return self._behind(entry, asked)
        if asked.sequence > last + 1:
            return self._gap(entry, asked, last)
        if blocked is not None:
            self.changes.due_now.add(entry.subject)
        return None

    def _gap(self, entry: Entry[S], asked: Asked, last: int) -> Outcome:
        assert asked.stream is not None
        detail = f"{asked.stream} jumped from {last} to {asked.sequence}"
        if asked.reply_to is not None and self._waited(asked):
            return self._told(entry, asked, NumberMissing(f"number {last + 1} has not come"))
        if asked.reply_to is not None:
            entry.touched |= entry.was.exists  # whoever fills the gap meanwhile comes first
        elif entry.blocked is None or asked.waiting_id is not None:
            self._block(entry, f"gap:{asked.stream}")
        self._wait(asked, "gap", detail, self.now + GAP_RETRY, asked.tried("gap") + 1)
        if asked.waiting_id is not None:
            self._stick(asked, None)
        return Outcome(asked.subject, waiting=True, gap=(asked.stream, last) if asked.reply_to is None else None)

    def _told(self, entry: Entry[S], asked: Asked, refused: Refused) -> Outcome:
        """Refuse a client's command for its number; the position stays."""
        self._settle_waiting(asked)
        if asked.waiting_id is not None:
            self.changes.due_now.add(entry.subject)  # what rests behind it
        outcome = Outcome(asked.subject, b"", entry.edit_version, entry.sequence, refused=refused)
        self._answer(asked, outcome)
        return outcome

    def _behind(self, entry: Entry[S], asked: Asked) -> Outcome:
        """Let a message rest until what it waits for is decided: only that is tried again, and wakes it."""
        self._wait(asked, "behind", "an earlier message of this request waits", None, asked.attempts)
        entry.touched |= entry.was.exists
        return Outcome(asked.subject, waiting=True)

    def _block(self, entry: Entry[S], why: str | None) -> None:
        entry.blocked = why
        entry.touched = True

    def _stick(self, asked: Asked, only: str | None) -> None:
        """Let what comes behind a message that waits wait as well: behind a client's command its later numbers alone.

        A client may never send what its command waits for, and need not be the request's.
        """
        if asked.reply_to is not None and asked.stream is not None:
            self._early.add((asked.subject, asked.stream))
        else:
            self._stuck.add((asked.subject, only))

    def _heard(self, entry: Entry[S], asked: Asked) -> None:
        if asked.stream is not None and asked.sequence is not None:
            entry.heard = {**entry.heard, asked.stream: asked.sequence}
            entry.touched = True
            if asked.reply_to is not None:
                self.changes.due_now.add(entry.subject)  # its next number may wait: no mark in the row says so

    # -- what cannot be decided ----------------------------------------------------------------------------------

    def _refused(self, entry: Entry[S], asked: Asked, refused: Refused) -> Outcome:
        if isinstance(refused, Unknown) and refused.may_come and asked.record is not None and not self._waited(asked):
            return self._postpone(entry, asked, "unknown", refused.detail)
        self._heard(entry, asked)
        self._settle_waiting(asked)
        outcome = Outcome(asked.subject, b"", entry.edit_version, entry.sequence, refused=refused)
        if asked.reply_to is not None or (asked.remember and not isinstance(refused, Unknown)):
            self._answer(asked, outcome)
        elif asked.stream is not None or asked.waiting_id is not None:
            self.changes.dead.append((asked, refused))
        return outcome

    def _failed(self, entry: Entry[S], asked: Asked, error: BaseException) -> Outcome:
        log.exception(
            "message_not_decided", subject=str(asked.subject), message=type(asked.message).__name__, exc_info=error
        )
        if asked.record is None and asked.waiting_id is None:
            return Outcome(asked.subject, error=error)
        return self._postpone(entry, asked, "error", f"{type(error).__name__}: {error}")

    def fail(self, asked: Asked, error: BaseException) -> Outcome:
        """Let a message wait that the database refused by itself; nothing of it was decided."""
        return self._failed(self.entries[asked.subject], asked, error)

    def _postpone(self, entry: Entry[S], asked: Asked, reason: str, detail: str) -> Outcome:
        """Let it be tried again, later each time. One that was tried beside another, before it was due, waits on."""
        tried, early = asked.tried(reason), asked.is_early(reason, self.now)
        next_at = self.now + BACK_OFF[tried] if tried < len(BACK_OFF) else None
        if reason == "unknown":
            next_at = self.now + min(BACK_OFF[min(tried, 2)], UNKNOWN_FOR)
        self._wait(asked, reason, detail, asked.next_at if early else next_at, tried + (not early))
        if asked.stream is not None and entry.was.broken is None:
            only = asked.stream if reason == "unknown" and entry.state is None else None
            if asked.reply_to is None:
                self._block(entry, f"{UNKNOWN}{only}" if only else reason)
            self._stick(asked, only)
        return Outcome(asked.subject, waiting=True)

    def _wait(self, asked: Asked, reason: str, detail: str, next_at: datetime | None, attempts: int) -> None:
        kind = "stream" if asked.reply_to is None and asked.record is not None else "command"
        wait = Wait(asked, kind, reason, detail[:2000], attempts, next_at)
        (self.changes.waits if asked.waiting_id is None else self.changes.still_waiting).append(wait)

    def _settle_waiting(self, asked: Asked) -> None:
        if asked.waiting_id is not None:
            self.changes.decided_waiting.append(asked.waiting_id)

    def unblock(self, subjects: Iterable[UUID]) -> None:
        """Let requests flow again whose waiting facts were all decided in this batch, and no others wait.

        What waits behind them and is not in the batch is due now: nothing else would ever wake it.
        """
        for subject in subjects:
            entry = self.entries[subject]
            if subject not in {stuck for stuck, _ in self._stuck} and entry.blocked is not None:
                self._block(entry, entry.blocked if subject in self._reading.held_up else None)
                self.changes.due_now.add(subject)

    # -- what the write needs ------------------------------------------------------------------------------------

    def holds_up(self, subject: UUID) -> bool:
        """Whether a fact of a request waits that all of its streams must wait for."""
        return (subject, None) in self._stuck

    def touched(self) -> list[Entry[S]]:
        """The aggregates to save, in the order in which everybody locks them."""
        return sorted((entry for entry in self.entries.values() if entry.touched), key=lambda entry: entry.subject)
