"""I3: the rows of invoices and credit notes, which doors show, say what was told of them, in exact decimals."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

from testkit.chaos.evidence import Evidence
from testkit.chaos.laws.accounts import CREDITED, ISSUED, OF_A_LINE, Line, documents, exact, money

Broken = tuple[str, str, str]

_AMOUNTS: Final = ("net", "tax", "total")


def stored_as_told(evidence: Evidence) -> Iterator[Broken]:
    """Every invoice and credit note that was told has a row, and it says the same."""
    for table, kind, key in (("invoices", ISSUED, "invoice_id"), ("credit_notes", CREDITED, "credit_note_id")):
        rows = documents(evidence, table)
        for fact in evidence.facts:
            if fact.type == kind:
                where = f"{fact.subject} {fact.data['number']}"
                yield from _compared(where, fact.data, rows.get(fact.data[key]))


def _compared(where: str, told: Line, row: Line | None) -> Iterator[Broken]:
    if row is None:
        yield "document-lost", where, "told, and no row of it"
        return
    if row.get("status", "issued") != "issued":
        yield "document-differs", where, f"told as issued, stored as {row['status']}"
    stored = _stored(row)
    for name, value in _told(told).items():
        if stored.get(name) != value:
            yield "document-differs", where, f"{name}: told {value!s:.80}, stored {stored.get(name)!s:.80}"


def _told(data: Line) -> dict[str, Any]:
    said = {name: data[name] for name in ("invoice_id", "number", "close_no") if name in data}
    said |= {name: money(data[name]) for name in _AMOUNTS if name in data}
    lines = {"lines": _lines(data["lines"])} if "lines" in data else {}
    return {**said, **lines, "currency": data["total"]["currency"]}


def _stored(row: Line) -> dict[str, Any]:
    values = dict(row) | {name: Decimal(row[name]) for name in _AMOUNTS if name in row}
    return {**values, "invoice_id": str(row["invoice_id"]), "lines": _lines(row.get("lines", ()))}


def _lines(lines: Iterable[Line]) -> list[tuple[Any, ...]]:
    """Lines as they count, in the order of their charges' ids."""
    found = ((line["line_id"], *(exact(name, line) for name in OF_A_LINE)) for line in lines)
    return sorted(found, key=itemgetter(0))
