"""The aggregates of this service: the rules with their tables, their rows and their answers."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.domain import account as account_rules
from billing.domain import prices as price_rules
from billing.domain.facts import ChargeLogged, ChargeRemoved, CreditNoteIssued, InvoiceDrafted, InvoiceIssued
from billing.domain.invoicing import drawn, on_invoice
from billing.domain.messages import LogCharge
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, PriceBook
from billing.domain.state import Account
from billing.events import ACCOUNTS as ACCOUNTS_CODEC
from billing.events import PRICES as PRICES_CODEC
from billing.schemas import answer, price_book_answer, totals
from billing.tables import accounts, credit_notes, invoices, price_books
from chassis.aggregate import Aggregate, Child


def children(request_id: UUID, account: Account, fact: Any, now: datetime) -> Iterator[Child]:
    """The rows that a fact adds; `account` is the state after it."""
    of = {"request_id": request_id, "request_number": account.number, "stated_at": now}
    match fact:
        case InvoiceIssued():
            yield Child(invoices, of | _issued(fact))
        case InvoiceDrafted():
            yield Child(invoices, of | _drafted(account, fact))
        case CreditNoteIssued():
            yield Child(credit_notes, {"request_id": request_id} | _credited(fact))


def _issued(fact: InvoiceIssued) -> dict[str, Any]:
    return {
        "invoice_id": fact.invoice_id,
        "close_no": fact.close_no,
        "status": "issued",
        "number": str(fact.number),
        "contact_id": fact.contact_id,
        "currency": fact.currency,
        "net": fact.net.amount,
        "tax": fact.tax.amount,
        "total": fact.total.amount,
        "lines": fact.lines,
        "issued_on": fact.issued_on,
    }


def _drafted(account: Account, fact: InvoiceDrafted) -> dict[str, Any]:
    [draft] = [each for each in account.drafts if each.invoice_id == fact.invoice_id]
    amounts = totals(draft.lines)
    return {
        "invoice_id": fact.invoice_id,
        "close_no": fact.close_no,
        "status": "draft",
        "number": None,
        "contact_id": account.contact_id,
        "currency": amounts["total"].currency,
        **{name: money.amount for name, money in amounts.items()},
        "lines": tuple(on_invoice(line) for line in draft.lines),
        "issued_on": None,
    }


def _credited(fact: CreditNoteIssued) -> dict[str, Any]:
    return {
        "credit_note_id": fact.credit_note_id,
        "invoice_id": fact.invoice_id,
        "number": str(fact.number),
        "total": fact.total.amount,
        "currency": fact.total.currency,
        "reason": fact.reason,
        "issued_on": fact.issued_on,
    }


def _refs(message: Any) -> list[tuple[str, str]]:
    return [(PRICE_BOOKS, str(PRICE_BOOK))] if isinstance(message, LogCharge) else []


ACCOUNTS: Aggregate[Account] = Aggregate(
    name="accounts",
    table=accounts,
    state=Account,
    shape=1,
    codec=ACCOUNTS_CODEC,
    decide=account_rules.decide,
    evolve=account_rules.evolve,
    answer=answer,
    children=children,
    persons=lambda account: [account.contact_id],
    refs=_refs,
    edits=frozenset({ChargeLogged, ChargeRemoved}),
    drawn=drawn,
)

PRICES: Aggregate[PriceBook] = Aggregate(
    name=PRICE_BOOKS,
    table=price_books,
    state=PriceBook,
    shape=1,
    codec=PRICES_CODEC,
    decide=price_rules.decide,
    evolve=price_rules.evolve,
    answer=price_book_answer,
)
