"""The write of a batch: one statement whose last part is the journal, behind a gate for every other part.

Sub-selects in a WHERE run first and in order, so every row lock is taken, and the transaction has its id, before
the first number of the journal is drawn: without either, the relay was seen to pass facts by (architecture, 3).
A gate that does not count aborts everything and says which part it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import ARRAY

from chassis.tables import CHASSIS_COLUMNS

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Part:
    """One data-modifying part. `{0}`, `{1}` … stand for its parameters; `counted` parts must touch `expected` rows."""

    name: str
    template: str
    arity: int
    counted: bool = True


@dataclass(frozen=True)
class Filled:
    """A part with the batch's values."""

    part: Part
    arguments: Sequence[Any]
    expected: int | None = None


def _columns(names: Sequence[str], types: Sequence[str]) -> str:
    arrays = ", ".join(f"{{{n}}}::{kind}[]" for n, kind in enumerate(types))
    return f"unnest({arrays}) AS u({', '.join(names)})"


@lru_cache
def _type_of(table: Table, name: str) -> str:
    return str(table.c[name].type.compile(_DIALECT))


def _carried(table: Table, name: str) -> tuple[str, str]:
    """(type of the array's elements, expression that gives the column): arrays and JSON travel as text."""
    column = table.c[name]
    kind = _type_of(table, name)
    if isinstance(column.type, ARRAY):
        return "text", f"ARRAY(SELECT json_array_elements_text(u.{name}::json))::{kind}"
    if kind in ("JSON", "JSONB"):
        return "text", f"u.{name}::{kind}"
    return kind, f"u.{name}"


@lru_cache
def save_part(table: Table) -> tuple[Part, tuple[str, ...]]:
    """Upsert of aggregates by compare-and-set on `version`, and the columns it takes in order.

    A row that comes without a state keeps the one that is stored, and every column that is made of it.
    """
    names = (*CHASSIS_COLUMNS, *(column.name for column in table.c if column.name not in CHASSIS_COLUMNS))
    carried = [_carried(table, name) for name in names]
    kept = ("shape", "state", *names[len(CHASSIS_COLUMNS) :])
    updates = ", ".join(
        f"{name} = CASE WHEN excluded.state IS NULL THEN t.{name} ELSE excluded.{name} END"
        if name in kept
        else f"{name} = excluded.{name}"
        for name in names
        if name not in ("id", "created_at")
    )
    template = (
        f"INSERT INTO {table.name} AS t ({', '.join(names)}) SELECT {', '.join(read for _, read in carried)} "
        f"FROM {_columns(names, [kind for kind, _ in carried])} "
        f"ON CONFLICT (id) DO UPDATE SET {updates} WHERE t.version = excluded.version - 1 RETURNING 1"
    )
    return Part("saved", template, len(names)), names


@lru_cache
def child_part(table: Table, names: tuple[str, ...]) -> Part:
    """Upsert of children by their primary key."""
    carried = [_carried(table, name) for name in names]
    keys = [column.name for column in table.primary_key]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    conflict = f"DO UPDATE SET {updates}" if updates else "DO NOTHING"
    template = (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(read for _, read in carried)} "
        f"FROM {_columns(names, [kind for kind, _ in carried])} ON CONFLICT ({', '.join(keys)}) {conflict} RETURNING 1"
    )
    return Part(f"child_{table.name}_{len(names)}", template, len(names), counted=bool(updates))


RELEASED = Part(
    "released",
    "DELETE FROM claims c USING unnest({0}::text[], {1}::uuid[]) AS u(claim, subject) "
    "WHERE c.claim = u.claim AND c.subject = u.subject RETURNING 1",
    2,
)
CLAIMED = Part(
    "claimed",
    "INSERT INTO claims (claim, subject) SELECT u.claim, u.subject FROM unnest({0}::text[], {1}::uuid[]) "
    "AS u(claim, subject) ON CONFLICT DO NOTHING RETURNING 1",
    2,
)
CLAIMED_AFTER_RELEASE = Part(
    "claimed",
    CLAIMED.template.replace(" ON CONFLICT", " WHERE (SELECT count(*) >= 0 FROM released) ON CONFLICT"),
    2,
)
IDS = Part(
    "ids",
    "INSERT INTO message_ids (id, hash, subject, refused, answer, edit_version, sequence, kept_until) "
    "SELECT u.id, u.hash, u.subject, u.refused::json, u.answer::json, u.edit_version, u.sequence, clock_timestamp() + "
    "CASE WHEN u.inbound THEN interval '14 days' ELSE interval '72 hours' END "
    "FROM unnest({0}::uuid[], {1}::bytea[], {2}::uuid[], {3}::text[], {4}::text[], {5}::bigint[], {6}::bigint[], "
    "{7}::boolean[]) AS u(id, hash, subject, refused, answer, edit_version, sequence, inbound) "
    "ON CONFLICT DO NOTHING RETURNING 1",
    8,
)
WAIT = Part(
    "waits",
    "INSERT INTO waiting (aggregate, subject, stream, sequence, event_id, kind, message, headers, record, envelope, "
    "reason, detail, attempts, next_at, first_at) SELECT u.aggregate, u.subject, u.stream, u.sequence, u.event_id, "
    "u.kind, u.message::json, u.headers::json, u.record, u.envelope::json, u.reason, u.detail, u.attempts, u.next_at, "
    "clock_timestamp() FROM unnest({0}::text[], {1}::uuid[], {2}::text[], {3}::bigint[], {4}::uuid[], {5}::text[], "
    "{6}::text[], {7}::text[], {8}::bytea[], {9}::text[], {10}::text[], {11}::text[], {12}::int[], "
    "{13}::timestamptz[]) AS u(aggregate, subject, stream, sequence, event_id, kind, message, headers, record, "
    "envelope, reason, detail, attempts, next_at) ON CONFLICT (subject, event_id, kind) DO NOTHING RETURNING 1",
    14,
    counted=False,
)
STILL = Part(
    "still",
    "UPDATE waiting w SET reason = u.reason, detail = u.detail, attempts = u.attempts, next_at = u.next_at "
    "FROM unnest({0}::bigint[], {1}::text[], {2}::text[], {3}::int[], {4}::timestamptz[]) "
    "AS u(id, reason, detail, attempts, next_at) WHERE w.id = u.id RETURNING 1",
    5,
)
DECIDED = Part("decided", "DELETE FROM waiting WHERE id = ANY({0}::bigint[]) RETURNING 1", 1)
WOKEN = ("gap", "behind", "unknown")
"""Reasons that are over once something else is decided."""
DUE_NOW = Part(
    "due_now",
    "UPDATE waiting SET next_at = clock_timestamp() WHERE subject = ANY({0}::uuid[]) "
    f"AND reason IN {WOKEN} RETURNING 1",
    1,
    counted=False,
)
"""Of what waited before this statement: a message that comes to wait in it is not seen by its other parts."""
BEHIND = Part(
    "behind",
    "UPDATE waiting SET reason = 'behind', next_at = NULL WHERE aggregate = {0}::text AND subject = ANY({1}::uuid[]) "
    "AND stream = ANY(coalesce({2}::text[], ARRAY[stream])) "
    "AND stream IS NOT NULL AND coalesce(next_at, 'infinity') < 'infinity' RETURNING 1",
    3,
    counted=False,
)
"""Rests what waits behind the first of its request: on these streams, or (NULL) on all of them.

It runs last: what another part has written stays as written.

Written so that it goes by the subject, and never through all that is due.
"""
DEAD = Part(
    "dead",
    "INSERT INTO dead_letters AS d (reason, detail, topic, partition, kafka_offset, key, headers, value, subject) "
    "SELECT u.reason, u.detail, u.topic, u.partition, u.kafka_offset, u.key, u.headers::json, u.value, u.subject "
    "FROM unnest({0}::text[], {1}::text[], {2}::text[], {3}::int[], {4}::bigint[], {5}::bytea[], {6}::text[], "
    "{7}::bytea[], {8}::uuid[]) AS u(reason, detail, topic, partition, kafka_offset, key, headers, value, subject) "
    "ON CONFLICT (topic, partition, kafka_offset) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, "
    "subject = excluded.subject WHERE d.subject IS NULL AND d.resolved_at IS NULL AND excluded.subject IS NOT NULL "
    "RETURNING 1",
    9,
    counted=False,
)
"""One that could not be read and came again becomes the one of its request: that has gone past it now."""
KEPT_DOCUMENTS = Part(
    "documents_kept",
    "INSERT INTO documents AS d (kind, id, sequence, doc, changed_at) SELECT u.kind, u.id, u.sequence, u.doc::json, "
    "clock_timestamp() FROM unnest({0}::text[], {1}::text[], {2}::bigint[], {3}::text[]) AS u(kind, id, sequence, doc) "
    "ON CONFLICT (kind, id) DO UPDATE SET sequence = excluded.sequence, doc = excluded.doc, "
    "changed_at = excluded.changed_at, erased_at = NULL WHERE d.sequence < excluded.sequence RETURNING 1",
    4,
    counted=False,
)
WAKE = Part(
    "woke",
    "INSERT INTO wake AS w (subject, aggregate, at) SELECT u.subject, u.aggregate, u.at FROM unnest({0}::uuid[], "
    "{1}::text[], {2}::timestamptz[]) AS u(subject, aggregate, at) ON CONFLICT (subject) DO UPDATE "
    "SET at = excluded.at WHERE excluded.at < w.at RETURNING 1",
    3,
    counted=False,
)
REWAKE = Part("rewoke", WAKE.template.replace(" WHERE excluded.at < w.at", ""), 3, counted=False)
SLEEP = Part("slept", "DELETE FROM wake WHERE subject = ANY({0}::uuid[]) RETURNING 1", 1, counted=False)

_JOURNAL = (
    ("grp", "smallint"), ("event_id", "uuid"), ("topic", "text"), ("type", "text"), ("version", "smallint"),
    ("key", "text"), ("subject", "uuid"), ("sequence", "bigint"), ("occurred_at", "timestamptz"), ("actor", "text"),
    ("correlation_id", "uuid"), ("causation_id", "uuid"), ("hop", "smallint"), ("traceparent", "text"),
    ("command", "text"), ("persons", "text"), ("data", "text"), ("personal", "text"), ("private", "text"),
)  # fmt: skip
_READ = {
    **{name: f"u.{name}::json" for name in ("actor", "command", "data", "personal", "private")},
    "persons": "CASE WHEN u.persons IS NOT NULL "
    "THEN ARRAY(SELECT json_array_elements_text(u.persons::json))::uuid[] END",
}
JOURNAL_COLUMNS = tuple(name for name, _ in _JOURNAL)


@lru_cache
def _journal_part(partitions: int) -> Part:
    names = [name for name, _ in _JOURNAL]
    read = ", ".join(_READ.get(name, f"u.{name}") for name in names)
    sequences = ", ".join(f"'journal_seq_{n}'::regclass" for n in range(partitions))
    template = (
        f"INSERT INTO journal ({', '.join(names)}, seq) SELECT {read}, "
        f"nextval((ARRAY[{sequences}])[u.grp + 1]) FROM {_columns(names, [kind for _, kind in _JOURNAL])}"
    )
    return Part("journal", template, len(names))


def _gate(part: Part, at: int) -> str:
    if not part.counted:
        return f"(SELECT count(*) >= 0 FROM {part.name})"
    return (
        f"(SELECT CASE WHEN count(*) = ${at}::bigint THEN true "
        f"ELSE ('lost:{part.name}:' || count(*))::int IS NULL END FROM {part.name})"
    )


@lru_cache(maxsize=1024)
def _text(parts: tuple[Part, ...], partitions: int, facts: bool) -> str:
    n, gates, texts = 0, ["pg_current_xact_id() IS NOT NULL"], []
    for part in parts:
        texts.append(f"{part.name} AS ({part.template.format(*(f'${n + i + 1}' for i in range(part.arity)))})")
        n += part.arity
        if part.counted:
            n += 1
        gates.append(_gate(part, n))
    if facts:
        journal = _journal_part(partitions)
        last = journal.template.format(*(f"${n + i + 1}" for i in range(journal.arity)))
    else:
        last = "SELECT 1"
    head = f"WITH {', '.join(texts)} " if texts else ""
    return f"{head}{last} WHERE {' AND '.join(gates)}"


def apply_statement(
    filled: Sequence[Filled], partitions: int, journal: Sequence[tuple[Any, ...]]
) -> tuple[str, list[Any]]:
    """The text and the arguments of the one statement that writes a batch."""
    arguments: list[Any] = []
    for part in filled:
        arguments += part.arguments
        if part.part.counted:
            arguments.append(part.expected)
    if journal:
        arguments += (list(column) for column in zip(*journal, strict=True))
    return _text(tuple(part.part for part in filled), partitions, bool(journal)), arguments


def columns_of(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as the arrays that a part takes."""
    return [list(column) for column in zip(*rows, strict=True)]


@lru_cache
def travels_as_text(table: Table, name: str) -> bool:
    """Whether a column's values go as JSON text: arrays (which flatten under unnest) and JSON itself."""
    return isinstance(table.c[name].type, ARRAY) or _type_of(table, name) in ("JSON", "JSONB")
