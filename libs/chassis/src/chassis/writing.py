"""What a decided batch writes: its fold turned into the parts of the apply statement and rows of the journal."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from chassis import applying, deadletters, problems, waking
from chassis.applying import Filled, columns_of
from chassis.asked import Asked, Outcome
from chassis.changes import Answer, Entry, Stated, Wait, remembered
from chassis.decision import Actor
from chassis.folding import Fold
from chassis.ids import derived_id
from chassis.journal import Encoded, to_json
from chassis.partition import partition_of
from chassis.tables import CHASSIS_COLUMNS


@dataclass(frozen=True)
class Write:
    """The apply statement of one batch, and the documents that this process may cache once it is committed."""

    sql: str
    arguments: list[Any]
    documents: list[tuple[str, str, int, str | None]]
    facts: int
    stated: list[str]
    """The types of the aggregates' facts."""
    wakes: bool
    """Whether something falls due within two seconds: whoever sweeps is told, and looks by itself for what is later."""


def _actor_json(actor: Actor) -> str:
    return to_json({"kind": actor.kind, "id": actor.id})


def envelope_of(asked: Asked) -> str:
    """What a waiting message keeps of its envelope."""
    return to_json(
        {
            "actor": {"kind": asked.actor.kind, "id": asked.actor.id, "rights": asked.actor.rights},
            "correlation_id": asked.correlation_id,
            "causation_id": asked.causation_id,
            "hop": asked.hop,
            "traceparent": asked.traceparent,
            "at": asked.made_at(),
            "reply_to": asked.reply_to,
            "origin": {**asked.origin, "key": _text(asked.origin.get("key"))} if asked.origin else None,
        }
    )


def _text(value: bytes | str | None) -> str | None:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def headers_json(asked: Asked) -> str | None:
    """A record's headers as tables keep them."""
    if asked.headers is None:
        return None
    return to_json(
        [[name, None if value is None else base64.b64encode(value).decode()] for name, value in asked.headers]
    )


class Writer:
    """Builds the write of a fold."""

    def __init__(
        self, service: str, partitions: int, classes: Mapping[str, type[Any]], docs_url: str = problems.DOCS
    ) -> None:
        self._service = service
        self._docs_url = docs_url
        self._partitions = partitions
        self._classes = {cls: name for name, cls in classes.items()}
        """Names of messages that reactions may carry."""

    def write(self, fold: Fold[Any], *, swept: Mapping[UUID, datetime | None] | None = None) -> Write:
        """The statement that makes everything in `fold` true.

        `swept` has, for subjects of an agenda sweep, the earliest moment at which they may be looked at again.
        """
        changes, aggregate = fold.changes, fold.aggregate
        touched = fold.touched()
        parts: list[Filled] = []
        if touched:
            parts.append(self._saved(fold, touched))
        parts += self._children(fold)
        parts += self._claims(fold)
        rows = remembered(changes.answers)
        if rows:
            rows.sort(key=lambda row: row[0])
            parts.append(Filled(applying.IDS, columns_of(rows), len(rows)))
        parts += self._waiting(fold)
        encoded = [(stated, aggregate.codec.encode(stated.fact)) for stated in changes.stated]
        documents = self._documents(encoded)
        if documents:
            parts.append(Filled(applying.KEPT_DOCUMENTS, columns_of(documents)))
        wakes = waking.parts(fold, touched, swept)
        parts += wakes
        soon = bool(changes.reactions or changes.waits or changes.due_now) or waking.soon(wakes, fold.now)
        entries = {entry.subject: entry for entry in touched}
        journal = [self._fact_row(fold, entries[stated.asked.subject], stated, fact) for stated, fact in encoded]
        journal += [self._answer_row(fold, answer) for answer in changes.answers if answer.asked.reply_to is not None]
        letters = (deadletters.of_refused(asked, refused) for asked, refused in changes.dead)
        journal += [deadletters.told_row(self._service, self._partitions, letter) for letter in letters if letter]
        sql, arguments = applying.apply_statement(parts, self._partitions, journal)
        return Write(sql, arguments, documents, len(journal), [fact.type for _, fact in encoded], soon)

    # -- rows ----------------------------------------------------------------------------------------------------

    def _saved(self, fold: Fold[Any], touched: Sequence[Entry[Any]]) -> Filled:
        aggregate, now = fold.aggregate, fold.now
        part, names = applying.save_part(aggregate.table)
        extra = names[len(CHASSIS_COLUMNS) :]
        rows = []
        for entry in touched:
            was, state = entry.was, entry.state if entry.stated else None  # what is stored stays
            values = aggregate.columns(state) if state is not None else {}
            rows.append(
                (
                    entry.subject,
                    was.version + 1,
                    entry.sequence,
                    to_json(entry.heard),
                    min(was.shape, aggregate.shape) if state is not None and was.state is not None else aggregate.shape,
                    entry.edit_version,
                    entry.blocked,
                    to_json(state) if state is not None else None,
                    now,
                    now,
                    *(as_carried(aggregate.table, name, values.get(name)) for name in extra),
                )
            )
        return Filled(part, columns_of(rows), len(rows))

    def _children(self, fold: Fold[Any]) -> list[Filled]:
        by_shape: dict[Any, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
        for table, row in fold.changes.children:
            names = tuple(row)
            values = tuple(as_carried(table, name, row[name]) for name in names)
            key = tuple(row[column.name] for column in table.primary_key)
            by_shape.setdefault((table, names), {})[key] = values
        return [
            Filled(applying.child_part(table, names), columns_of(list(rows.values())), len(rows))
            for (table, names), rows in by_shape.items()
        ]

    def _claims(self, fold: Fold[Any]) -> list[Filled]:
        taken, released = fold.claims.taken, fold.claims.released
        parts = []
        if released:
            names = sorted(released)
            parts.append(Filled(applying.RELEASED, [names, [released[name] for name in names]], len(names)))
        if taken:
            names = sorted(taken)
            part = applying.CLAIMED_AFTER_RELEASE if released else applying.CLAIMED
            parts.append(Filled(part, [names, [taken[name] for name in names]], len(names)))
        return parts

    def _waiting(self, fold: Fold[Any]) -> list[Filled]:
        changes, name = fold.changes, fold.aggregate.name
        rows = [self._wait_row(name, wait, _due(fold, wait)) for wait in changes.waits]
        rows += [self._reaction_row(fold, reaction) for reaction in changes.reactions]
        parts = []
        if rows:
            parts.append(Filled(applying.WAIT, columns_of(rows)))
        resting = [wait for wait in changes.still_waiting if _rests(wait)]
        still = [_still(wait) for wait in changes.still_waiting if not _rests(wait)]
        if still:
            parts.append(Filled(applying.STILL, columns_of(still), len(still)))
        if changes.decided_waiting:
            ids = sorted(changes.decided_waiting)
            parts.append(Filled(applying.DECIDED, [ids], len(ids)))
        if changes.due_now:
            parts.append(Filled(applying.DUE_NOW, [sorted(changes.due_now)]))
        if resting:
            subjects = sorted({wait.asked.subject for wait in resting})
            streams = sorted({str(wait.asked.stream) for wait in resting})
            whole = any(fold.holds_up(subject) for subject in subjects)
            parts.append(Filled(applying.BEHIND, [name, subjects, None if whole else streams]))
        if changes.dead:
            parts.append(Filled(applying.DEAD, columns_of([self._dead_row(asked, why) for asked, why in changes.dead])))
        return parts

    @staticmethod
    def _wait_row(aggregate: str, wait: Wait, next_at: datetime | None) -> tuple[Any, ...]:
        asked = wait.asked
        return (
            aggregate, asked.subject, asked.stream, asked.sequence, asked.id, wait.kind, None, headers_json(asked),
            asked.record, envelope_of(asked), wait.reason, wait.detail, wait.attempts, next_at,
        )  # fmt: skip

    def _reaction_row(self, fold: Fold[Any], reaction: Any) -> tuple[Any, ...]:
        asked, message = reaction.cause.asked, reaction.message
        cause = self._event_id(reaction.cause)
        name = self._classes[type(message)]
        text = to_json({"name": name, "message": message})
        follow = Asked(
            subject=reaction.subject,
            message=message,
            id=derived_id(cause, asked.made_at(), reaction.n, "reaction"),
            actor=asked.actor,
            correlation_id=asked.correlation_id,
            causation_id=cause,
            hop=asked.next_hop,
            traceparent=asked.traceparent,
            at=asked.made_at(),
        )
        target = name.partition(".")[0]
        return (
            target, reaction.subject, None, None, follow.id, "reaction", text, None, None, envelope_of(follow),
            "reaction", "", 0, fold.now,
        )  # fmt: skip

    @staticmethod
    def _dead_row(asked: Asked, why: Any) -> tuple[Any, ...]:
        origin = asked.origin or {}
        key = origin.get("key")
        return (
            why.slug, why.detail, origin.get("topic"), origin.get("partition"), origin.get("offset"),
            key.encode() if isinstance(key, str) else key, headers_json(asked), asked.record, asked.subject,
        )  # fmt: skip

    def _documents(self, encoded: Sequence[tuple[Stated, Encoded]]) -> list[tuple[str, str, int, str | None]]:
        latest: dict[tuple[str, str], tuple[str, str, int, str | None]] = {}
        for stated, fact in encoded:
            if fact.document is not None:
                key = fact.key or str(stated.asked.subject)
                body = merged(fact.data, fact.personal)
                latest[fact.document, key] = (fact.document, key, stated.sequence or 0, body)
        return [latest[key] for key in sorted(latest)]

    @staticmethod
    def _event_id(stated: Stated) -> UUID:
        return derived_id(stated.asked.id, stated.asked.made_at(), stated.n, "fact")

    def _fact_row(self, fold: Fold[Any], entry: Entry[Any], stated: Stated, fact: Encoded) -> tuple[Any, ...]:
        asked = stated.asked
        key = fact.key or str(asked.subject)
        persons = [str(person) for person in fold.aggregate.persons(entry.state)] if entry.state is not None else []
        return (
            partition_of(key.encode(), self._partitions), self._event_id(stated), fact.topic, fact.type, fact.version,
            key, asked.subject, stated.sequence, asked.occurred_at or fold.now, _actor_json(asked.actor),
            asked.correlation_id, asked.id, asked.hop, asked.traceparent,
            to_json(asked.command) if stated.first and asked.command is not None else None,
            to_json(persons) if persons else None, fact.data, fact.personal, fact.private,
        )  # fmt: skip

    def _answer_row(self, fold: Fold[Any], answer: Answer) -> tuple[Any, ...]:
        asked, outcome = answer.asked, answer.outcome
        key = str(outcome.subject)
        accepted = outcome.refused is None
        return (
            partition_of(key.encode(), self._partitions),
            derived_id(asked.id, asked.made_at(), 0, "answer"),
            f"{self._service}.results.{asked.reply_to}",
            f"throughline.command-{'accepted' if accepted else 'refused'}",
            1, key, outcome.subject, None, fold.now, _actor_json(asked.actor), asked.correlation_id, asked.id,
            asked.hop, asked.traceparent, None, None, _answer_json(asked, outcome, self._docs_url), None, None,
        )  # fmt: skip


def _rests(wait: Wait) -> bool:
    """Whether a message waits behind one that is tried in the same write, and rests with whatever else is behind it."""
    return wait.reason == "behind" and not wait.asked.behind


def _still(wait: Wait) -> tuple[Any, ...]:
    """What becomes of a message that waits on."""
    return wait.asked.waiting_id, wait.reason, wait.detail, wait.attempts, wait.next_at


def _due(fold: Fold[Any], wait: Wait) -> datetime | None:
    """When a message is tried that comes to wait: at once, if what it waits for was decided in the same batch."""
    woken = wait.asked.subject in fold.changes.due_now and wait.reason in applying.WOKEN
    return fold.now if woken else wait.next_at


def _answer_json(asked: Asked, outcome: Outcome, docs_url: str) -> str:
    head = {"command_id": asked.id, "subject": outcome.subject}
    if outcome.refused is None:
        return f'{to_json(head)[:-1]},"answer":{outcome.answer.decode() or "{}"}}}'
    return to_json({**head, "problem": problems.document(outcome.refused, docs_url)})


def merged(data: str | None, personal: str | None) -> str | None:
    """Two JSON objects as one, without parsing them; None when there is no data (a tombstone)."""
    if data is None or personal is None or personal == "{}":
        return data
    return f"{data[:-1]},{personal[1:]}" if data != "{}" else personal


def as_carried(table: Table, name: str, value: Any) -> Any:
    """A column's value as the apply statement takes it: arrays and JSON travel as JSON text."""
    if value is None or not applying.travels_as_text(table, name):
        return value
    return value if isinstance(value, str) else to_json(value)
