"""What the facts in a journal make of an aggregate: its state, its query columns, its rows in child tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Table

from chassis.aggregate import Aggregate
from chassis.applying import travels_as_text
from chassis.journal import NewerVersion
from chassis.refolding import in_order
from chassis.writing import as_carried

NOT_DERIVED: Final[Mapping[str, str]] = {
    "id": "what the row is found by",
    "state": "compared by itself",
    "version": "counts writes, heard positions among them; I8 watches that it only grows",
    "heard": "follows the topics of others; I8 compares it with what they told",
    "shape": "the release that folded the row",
    "edit_version": "counts decisions that edit, and one decision may state several facts",
    "blocked": "why later input waits; I11 sees what waits",
    "created_at": "when the row was first written",
    "changed_at": "when the row was last written",
    "deliveries.picked_until": "the sender's own mark of a mail that it has in hand",
}
"""Columns that no fact decides, those of one child table with its name before them; and why."""

Key = tuple[str, str]
"""A row of a child table: the table's name, and the row's primary key as text."""


@dataclass
class Folded:
    """An aggregate as its facts make it; `columns` are its query columns and `sequence`, the last number it gave."""

    state: Any = None
    columns: dict[str, Any] = field(default_factory=dict)
    children: dict[Key, dict[str, Any]] = field(default_factory=dict)


def of_aggregate(aggregate: Aggregate[Any], entries: Iterable[Any]) -> list[Any]:
    """The facts of an aggregate among entries of a journal; one of a newer version is left out: it changed no state."""
    return [entry for entry in entries if _is_read(aggregate, entry)]


def _is_read(aggregate: Aggregate[Any], entry: Any) -> bool:
    try:
        return aggregate.codec.reads(entry["type"], entry["version"])
    except NewerVersion:
        return False


def fold(aggregate: Aggregate[Any], subject: UUID, facts: Sequence[Any], entries: Iterable[Any]) -> Folded:
    """What the facts of an aggregate add up to; `entries` is all that the journal has of the subject."""
    folded = Folded()
    for entry in in_order(list(facts)):
        fact = aggregate.codec.decode(
            entry["type"], entry["version"], entry["data"], entry["personal"], entry["private"]
        )
        folded.state = aggregate.evolve(folded.state, fact)
        for table, row in aggregate.children(subject, folded.state, fact, entry["occurred_at"]):
            values = {name: plain(table, name, value) for name, value in row.items() if is_derived(table, name)}
            folded.children.setdefault((table.name, key_of(table, row)), {}).update(values)
    made = {} if folded.state is None else dict(aggregate.columns(folded.state))
    made["sequence"] = _last_told(aggregate, entries)
    folded.columns = {name: plain(aggregate.table, name, made.get(name)) for name in _query_columns(aggregate.table)}
    return folded


def stored_columns(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """The same columns of a row, as they are stored."""
    return {name: plain(table, name, row[name]) for name in _query_columns(table)}


def stored_child(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a child table, without what no fact decides."""
    return {each.name: plain(table, each.name, row[each.name]) for each in table.c if is_derived(table, each.name)}


def is_derived(table: Table, name: str) -> bool:
    """Whether facts decide a column of a child table."""
    return f"{table.name}.{name}" not in NOT_DERIVED


def key_of(table: Table, row: Mapping[str, Any]) -> str:
    """The primary key of a row of a child table."""
    return "/".join(str(row[column.name]) for column in table.primary_key)


def plain(table: Table, name: str, value: Any) -> Any:
    """A column's value to compare with another: of JSON counts what it says, not how it is written."""
    return value if value is None or not travels_as_text(table, name) else orjson.loads(as_carried(table, name, value))


def _query_columns(table: Table) -> list[str]:
    """The columns of an aggregate's table that are made of its facts, the state left out."""
    return [column.name for column in table.c if column.name not in NOT_DERIVED]


def _last_told(aggregate: Aggregate[Any], entries: Iterable[Any]) -> int:
    """The last number that it gave on its topics; a fact that nobody can read used one up too."""
    topics = {kind.topic for kind in aggregate.codec.kinds if kind.topic}
    return max((entry["sequence"] for entry in entries if entry["topic"] in topics and entry["sequence"]), default=0)
