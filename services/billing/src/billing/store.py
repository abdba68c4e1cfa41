"""Every query of this service."""

from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Select, bindparam, select

from billing.domain.prices import PRICE_BOOK, PriceBook
from billing.domain.state import Account
from billing.tables import accounts, credit_notes, invoices, price_books
from chassis.database import Database, statement

Row = dict[str, Any]

LAST = UUID(int=(1 << 128) - 1)

_ACCOUNT: TypeAdapter[Account] = TypeAdapter(Account)
_PRICE_BOOK: TypeAdapter[PriceBook] = TypeAdapter(PriceBook)
_CREDIT = {
    "credit_note": credit_notes.c.number,
    "credited_on": credit_notes.c.issued_on,
    "credit_reason": credit_notes.c.reason,
}


def _invoices() -> Select[Any]:
    credit = [column.label(name) for name, column in _CREDIT.items()]
    return select(invoices, *credit).outerjoin(credit_notes, credit_notes.c.invoice_id == invoices.c.invoice_id)


def _page(of: Select[Any]) -> Select[Any]:
    before = invoices.c.invoice_id < bindparam("before")
    return of.where(before).order_by(invoices.c.invoice_id.desc()).limit(bindparam("limit"))


ACCOUNT = statement(select(accounts.c.state, accounts.c.edit_version).where(accounts.c.id == bindparam("request")))
PRICES = statement(select(price_books.c.state).where(price_books.c.id == bindparam("book")))
WITH_STATUS = statement(_page(_invoices().where(invoices.c.status == bindparam("status"))))
OF_REQUEST = statement(_page(_invoices().where(invoices.c.request_id == bindparam("request"))))
ISSUED_TO = statement(
    _page(_invoices().where(invoices.c.contact_id == bindparam("contact"), invoices.c.number.is_not(None)))
)
ONE = statement(_invoices().where(invoices.c.invoice_id == bindparam("invoice")))


def _invoice(row: Any) -> Row:
    return {**row, "lines": orjson.loads(row["lines"])}


async def account(db: Database, request: UUID) -> tuple[Account, int] | None:
    """The account of a request and its edit version."""
    row = await db.fetchrow(ACCOUNT, request=request)
    return (_ACCOUNT.validate_json(row["state"]), row["edit_version"]) if row and row["state"] else None


async def price_book(db: Database) -> PriceBook | None:
    """The prices in force."""
    row = await db.fetchrow(PRICES, book=PRICE_BOOK)
    return _PRICE_BOOK.validate_json(row["state"]) if row and row["state"] else None


async def with_status(db: Database, status: str, before: UUID | None, limit: int) -> list[Row]:
    """Invoices that are issued, or drafts that wait for review, the latest first."""
    return [_invoice(row) for row in await db.fetch(WITH_STATUS, status=status, before=before or LAST, limit=limit)]


async def of_request(db: Database, request: UUID, before: UUID | None, limit: int) -> list[Row]:
    """Invoices and drafts of a request, the latest first."""
    return [_invoice(row) for row in await db.fetch(OF_REQUEST, request=request, before=before or LAST, limit=limit)]


async def issued_to(db: Database, contact: UUID, before: UUID | None, limit: int) -> list[Row]:
    """Issued invoices of a contact, the latest first."""
    return [_invoice(row) for row in await db.fetch(ISSUED_TO, contact=contact, before=before or LAST, limit=limit)]


async def invoice(db: Database, invoice_id: UUID) -> Row | None:
    """One invoice or draft."""
    row = await db.fetchrow(ONE, invoice=invoice_id)
    return _invoice(row) if row else None
