"""I7: what a schema holds is what the facts add up to: every row, its query columns, and the rows beside it.

What no fact decides, and is therefore not compared, is named with its reason in `folds.NOT_DERIVED`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]


def rows_are_folds(evidence: Evidence) -> Iterator[Broken]:
    """Every row of every aggregate in all services equals the fold of its facts in the journal."""
    for name, shelf in evidence.shelves.items():
        for row in shelf.rows:
            if row.state != row.folded:
                yield "row-is-no-fold", f"{name}.{row.aggregate} {row.subject}", difference(row.state, row.folded)


def facts_have_rows(evidence: Evidence) -> Iterator[Broken]:
    """Whatever has facts has a row."""
    for name, shelf in evidence.shelves.items():
        for lost in shelf.rowless:
            yield "row-lost", f"{name}.{lost.aggregate} {lost.subject}", f"has {lost.type} and no row"


def columns_are_folds(evidence: Evidence) -> Iterator[Broken]:
    """What stands beside the state, by which lists are made, equals what the facts make of it."""
    for name, shelf in evidence.shelves.items():
        for row in shelf.rows:
            if row.columns != row.derived:
                where = f"{name}.{row.aggregate} {row.subject}"
                yield "column-is-no-fold", where, difference(row.columns, row.derived)


def children_are_folds(evidence: Evidence) -> Iterator[Broken]:
    """Every row of a child table is there because of a fact, and says what it says; none is missing."""
    for name, shelf in evidence.shelves.items():
        for row in shelf.children:
            where = f"{name}.{row.table} {row.key} of {row.subject}"
            if row.stored is None:
                yield "child-lost", where, f"facts make {_some(row.derived)}"
            elif row.derived is None:
                yield "child-from-nothing", where, f"no fact makes {_some(row.stored)}"
            elif row.stored != row.derived:
                yield "child-is-no-fold", where, difference(row.stored, row.derived)


def difference(row: Any, folded: Any) -> str:
    """The first field that differs, with both values."""
    if not isinstance(row, Mapping) or not isinstance(folded, Mapping):
        return f"row {row!r:.80}, fold {folded!r:.80}"
    nothing = object()
    names = sorted(name for name in row.keys() | folded.keys() if row.get(name, nothing) != folded.get(name, nothing))
    name = names[0]
    return f"{name}: row {row.get(name, 'nothing')!r:.80}, fold {folded.get(name, 'nothing')!r:.80}"


def _some(values: Any) -> str:
    return f"{dict(values)!s:.200}"
