"""Bodies of answers."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainSerializer

from billing.domain.facts import ChargeLogged, CreditNoteIssued, InvoiceIssued
from billing.domain.money import total
from billing.domain.prices import PriceBook
from billing.domain.state import Account, Line

Number = Annotated[Decimal, PlainSerializer(lambda number: f"{number:f}", return_type=str)]


class View(BaseModel):
    """Something that is read from a record or a row."""

    model_config = ConfigDict(from_attributes=True)


class MoneyView(View):
    """An amount in a currency."""

    amount: Number
    currency: str


class LineView(View):
    """A charge line."""

    line_id: UUID
    sku: str
    description: str
    quantity: Number
    unit_price: MoneyView
    tax_rate: Number
    net: MoneyView
    tax: MoneyView


class AccountView(View):
    """What a request would be billed if it closed as resolved now; null totals while there is nothing."""

    request_id: UUID
    number: str
    revision: int
    closed: bool
    lines: list[LineView]
    net: MoneyView | None
    tax: MoneyView | None
    total: MoneyView | None
    edit_version: int

    @classmethod
    def of(cls, request_id: UUID, account: Account, edit_version: int) -> Self:
        """The view of an account."""
        known = {"request_id": request_id, "number": account.number, "edit_version": edit_version}
        held = {"revision": account.revision, "closed": account.closed, "lines": account.lines}
        return cls.model_validate({**known, **held, **totals(account.lines)})


class InvoiceView(View):
    """An invoice, or a draft that waits for review (without a number)."""

    invoice_id: UUID
    request_id: UUID
    request_number: str
    close_no: int
    status: str
    number: str | None
    contact_id: UUID
    lines: list[LineView]
    net: MoneyView
    tax: MoneyView
    total: MoneyView
    issued_on: date | None
    credit_note: str | None
    credited_on: date | None
    credit_reason: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The view of a row."""
        amounts = {name: {"amount": row[name], "currency": row["currency"]} for name in ("net", "tax", "total")}
        return cls.model_validate({**row, **amounts})


class EntryView(View):
    """Something that can be charged."""

    sku: str
    description: str
    kind: str
    unit_price: MoneyView
    tax_rate: Number


class PriceBookView(View):
    """The prices in force."""

    version: int
    currency: str
    entries: list[EntryView]


def totals(lines: Sequence[Line]) -> dict[str, Any]:
    """Net, tax and total over lines of one currency; None without lines."""
    if not lines:
        return dict.fromkeys(("net", "tax", "total"))
    currency = lines[0].net.currency
    net, tax = total((line.net for line in lines), currency), total((line.tax for line in lines), currency)
    return {"net": net, "tax": tax, "total": total((net, tax), currency)}


def answer(request_id: UUID, account: Account, facts: Sequence[Any]) -> dict[str, Any]:
    """What somebody who changed the account is told: what was made, and how it stands now."""
    made: dict[str, Any] = {}
    for fact in facts:
        match fact:
            case ChargeLogged():
                made["line_id"] = fact.line_id
            case InvoiceIssued():
                issued = next(each for each in account.invoices if each.invoice_id == fact.invoice_id)
                made |= {"invoice_id": issued.invoice_id, "number": issued.number, "invoiced": issued.total}
            case CreditNoteIssued():
                made |= {"credit_note_id": fact.credit_note_id, "invoice_id": fact.invoice_id, "credited": fact.total}
    standing = {"revision": account.revision, "lines": len(account.lines), **totals(account.lines)}
    return {"request_id": request_id, **made, **standing}


def price_book_answer(_: UUID, book: PriceBook, __: Sequence[Any]) -> dict[str, Any]:
    """What somebody who set prices is told."""
    return {"version": book.version, "currency": book.currency, "entries": len(book.entries)}
