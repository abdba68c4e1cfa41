"""The account of one request: what is charged and not billed yet, and which invoices went out."""

from decimal import Decimal
from uuid import UUID

from billing.domain.money import Money
from chassis.decision import record

MOST_LINES = 500
"""Lines of a request that are not invoiced yet, drafts included."""

MOST_TEXT = 64 * 1024
"""Bytes of their article names and descriptions, as JSON: so every invoice fits into one event."""

INVOICES_KEPT = 100
"""Issued invoices an account remembers in order to credit them; one a close."""


@record
class Line:
    """A charge as it was logged; the price is a copy and follows no price book."""

    line_id: UUID
    revision: int
    kind: str
    sku: str
    description: str
    quantity: Decimal
    unit_price: Money
    tax_rate: Decimal
    net: Money
    tax: Money
    price_book_version: int

    def text(self) -> int:
        """How many bytes its texts take as JSON."""
        return text_size(self.sku) + text_size(self.description)


@record
class Draft:
    """An invoice that waits for review, with the lines frozen for it."""

    invoice_id: UUID
    close_no: int
    lines: tuple[Line, ...]


@record
class Invoice:
    """An issued invoice, as far as a credit note needs it."""

    invoice_id: UUID
    number: str
    total: Money
    credited: bool = False


@record
class Account:
    """Charges are open until a close freezes them; what an invoice took leaves the account.

    `revision` counts every change of the charges and never goes back. `close_no` is the last close that was settled.
    """

    contact_id: UUID
    number: str
    revision: int = 0
    closed: bool = False
    close_no: int = 0
    lines: tuple[Line, ...] = ()
    drafts: tuple[Draft, ...] = ()
    invoices: tuple[Invoice, ...] = ()

    def currency(self) -> str | None:
        """The one currency of the open lines; None without lines."""
        return self.lines[0].net.currency if self.lines else None

    def not_invoiced(self) -> tuple[Line, ...]:
        """Lines that wait for an invoice, drafts included."""
        return (*self.lines, *(line for draft in self.drafts for line in draft.lines))


def text_size(text: str) -> int:
    """How many bytes a one-line text takes as JSON."""
    return len(text.encode()) + text.count('"') + text.count("\\")
