"""Aggregates that were folded on from their topics, written: rows, children, journal, answers, claims, what waits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from chassis import applying, deadletters
from chassis.aggregate import Aggregate
from chassis.applying import Filled, apply_statement, child_part, columns_of, save_part
from chassis.asked import Asked
from chassis.journal import to_json
from chassis.partition import partition_of
from chassis.recalling import Line, Pen
from chassis.tables import CHASSIS_COLUMNS
from chassis.writing import as_carried

_IDS = (
    "INSERT INTO message_ids (id, hash, subject, refused, answer, edit_version, sequence, kept_until) "
    "SELECT u.id, u.hash, u.subject, u.refused::json, u.answer::json, u.edit_version, u.sequence, "
    "clock_timestamp() + interval '14 days' FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::text[], $5::text[], "
    "$6::bigint[], $7::bigint[]) AS u(id, hash, subject, refused, answer, edit_version, sequence) "
    "ON CONFLICT DO NOTHING"
)
_RELEASE = (
    "DELETE FROM claims c USING unnest($1::text[], $2::uuid[]) AS u(claim, subject) "
    "WHERE c.claim = u.claim AND c.subject = u.subject"
)
_CLAIM = (
    "INSERT INTO claims (claim, subject) SELECT * FROM unnest($1::text[], $2::uuid[]) "
    "ON CONFLICT (claim) DO UPDATE SET subject = excluded.subject"
)
_DECIDED = (
    "DELETE FROM waiting w USING unnest($1::uuid[], $2::text[]) AS u(subject, heard) WHERE w.subject = u.subject "
    "AND (w.event_id = ANY($3::uuid[]) "
    "OR (w.stream IS NOT NULL AND w.sequence <= (u.heard::json ->> w.stream)::bigint))"
)
_WAKE = f"UPDATE waiting SET next_at = clock_timestamp() WHERE subject = ANY($1::uuid[]) AND reason IN {applying.WOKEN}"
"""Whatever waited for something that is decided by now: nothing else would ever try it."""
_UNBLOCK = (
    "UPDATE {table} t SET blocked = NULL WHERE t.id = ANY($1::uuid[]) AND t.blocked IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM waiting w WHERE w.subject = t.id)"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A client's command with the answer that it was given on its results topic."""

    asked: Asked
    subject: UUID
    answer: str | None
    refused: str | None


async def write(
    connection: asyncpg.Connection,
    aggregate: Aggregate[Any],
    pens: Sequence[Pen[Any]],
    partitions: int,
    answered: Mapping[UUID, Answered],
) -> None:
    """Write what these pens hold, in the transaction of `connection`; a row that somebody else has moved aborts it."""
    if not pens:
        return
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    parts = [_saved(aggregate, pens, now), *_children(pens), *_wakes(aggregate, pens)]
    sql, arguments = apply_statement(parts, partitions, [row for pen in pens for row in _rows(pen, partitions)])
    await connection.execute(sql, *arguments)
    ids = [row for pen in pens for row in _ids(pen, answered)]
    if ids:
        await connection.execute(_IDS, *columns_of(ids))
    await _claims(connection, aggregate, pens)
    causes = [line.causation_id for pen in pens for line in pen.lines if line.causation_id is not None]
    subjects = [pen.subject for pen in pens]
    await connection.execute(_DECIDED, subjects, [to_json(pen.heard) for pen in pens], causes)
    await deadletters.recovered(connection, subjects, set(causes))
    await connection.execute(_WAKE, subjects)
    await connection.execute(_UNBLOCK.format(table=aggregate.table.name), subjects)


def _saved(aggregate: Aggregate[Any], pens: Iterable[Pen[Any]], now: datetime) -> Filled:
    part, names = save_part(aggregate.table)
    rows = []
    for pen in pens:
        state, was = pen.state, pen.was
        columns = aggregate.columns(state) if state is not None else {}
        rows.append(
            (
                pen.subject,
                was.version + 1,
                pen.sequence,
                to_json(pen.heard),
                aggregate.shape if was.state is None else min(was.shape, aggregate.shape),
                pen.edit_version,
                was.blocked,
                to_json(state) if state is not None else None,
                pen.lines[0].at if pen.lines else now,
                pen.lines[-1].at if pen.lines else now,
                *(as_carried(aggregate.table, name, columns.get(name)) for name in names[len(CHASSIS_COLUMNS) :]),
            )
        )
    return Filled(part, columns_of(rows), len(rows))


def _children(pens: Iterable[Pen[Any]]) -> list[Filled]:
    by_shape: dict[Any, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
    for pen in pens:
        for table, row in pen.children:
            key = tuple(row[column.name] for column in table.primary_key)
            values = tuple(as_carried(table, name, row[name]) for name in row)
            by_shape.setdefault((table, tuple(row)), {})[key] = values
    return [
        Filled(child_part(table, names), columns_of(list(rows.values())), len(rows))
        for (table, names), rows in by_shape.items()
    ]


def _wakes(aggregate: Aggregate[Any], pens: Iterable[Pen[Any]]) -> list[Filled]:
    firsts = [
        (pen.subject, min(aggregate.agenda(pen.state).values(), default=None) if pen.state is not None else None)
        for pen in pens
    ]
    awake = [(subject, aggregate.name, at) for subject, at in firsts if at is not None]
    asleep = [subject for subject, at in firsts if at is None]
    filled = [Filled(applying.REWAKE, columns_of(awake))] if awake else []
    return [*filled, Filled(applying.SLEEP, [asleep])] if asleep else filled


def _rows(pen: Pen[Any], partitions: int) -> Iterable[tuple[Any, ...]]:
    return (_row(line, pen.subject, partitions) for line in pen.lines)


def _row(line: Line, subject: UUID, partitions: int) -> tuple[Any, ...]:
    columns = line.columns
    key = columns.key or str(subject)
    persons = [str(person) for person in line.persons]
    return (
        partition_of(key.encode(), partitions), line.event_id, columns.topic, columns.type, columns.version, key,
        subject, line.sequence, line.at, to_json({"kind": line.actor.kind, "id": line.actor.id}), line.correlation_id,
        line.causation_id, line.hop, line.traceparent, None, to_json(persons) if persons else None, columns.data,
        columns.personal, columns.private,
    )  # fmt: skip


def _ids(pen: Pen[Any], answered: Mapping[UUID, Answered]) -> Iterable[tuple[Any, ...]]:
    """Ids of messages that were carried out: a caller who repeats one is answered, and nothing happens twice.

    What an HTTP caller said is not known any more, so every body under its key counts as the same.
    """
    for done in pen.done:
        if done.cause not in answered:
            answer = to_json(pen.aggregate.answer(pen.subject, done.state, done.facts))
            yield done.cause, None, pen.subject, None, answer, done.edit_version, done.sequence
        else:
            yield id_row(answered[done.cause], done.edit_version, done.sequence)


def id_row(found: Answered, edit_version: int = 0, sequence: int = 0) -> tuple[Any, ...]:
    """The row of an answered command."""
    asked = found.asked
    return asked.id, asked.request_hash, found.subject, found.refused, found.answer, edit_version, sequence


async def remember(connection: asyncpg.Connection, answered: Iterable[Answered]) -> None:
    """Keep the answers of commands that left no fact: the same command is answered the same again."""
    rows = [id_row(each) for each in answered if each.asked.remember]
    if rows:
        await connection.execute(_IDS, *columns_of(rows))


async def _claims(connection: asyncpg.Connection, aggregate: Aggregate[Any], pens: Iterable[Pen[Any]]) -> None:
    taken: dict[str, UUID] = {}
    released: list[tuple[str, UUID]] = []
    for pen in pens:
        before = set(aggregate.claims(pen.was.state)) if pen.was.state is not None else set()
        after = set(aggregate.claims(pen.state)) if pen.state is not None else set()
        taken |= dict.fromkeys(after - before, pen.subject)
        released += ((claim, pen.subject) for claim in before - after)
    if released:
        await connection.execute(_RELEASE, *columns_of(sorted(released)))
    if taken:
        await connection.execute(_CLAIM, *columns_of(sorted(taken.items())))
