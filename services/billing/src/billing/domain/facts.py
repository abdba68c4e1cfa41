"""What becomes true about an account."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from billing.domain.money import Money
from chassis.decision import Draw, record


@record
class Ref:
    """Who did something, as a fact names it."""

    kind: str
    id: UUID | None = None


@record
class AccountOpened:
    """Noted: the request can be charged from now on."""

    contact_id: UUID
    number: str


@record
class AccountReopened:
    """Noted: charges can be logged again after this close."""

    close_no: int


@record
class ChargeLogged:
    """A line was added."""

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
    logged_by: Ref


@record
class ChargeRemoved:
    """An open line was taken off."""

    line_id: UUID
    revision: int


@record
class InvoiceLine:
    """A line as it stands on the invoice."""

    line_id: UUID
    sku: str
    description: str
    quantity: Decimal
    unit_price: Money
    net: Money
    tax_rate: Decimal
    tax: Money


@record
class InvoiceIssued:
    """A legal document from now on; nothing changes it."""

    invoice_id: UUID
    number: str | Draw
    close_no: int
    contact_id: UUID
    currency: str
    lines: tuple[InvoiceLine, ...]
    net: Money
    tax: Money
    total: Money
    issued_on: date


@record
class InvoiceDrafted:
    """The close saw other charges than are held: somebody must look. The open lines are frozen for it."""

    invoice_id: UUID
    close_no: int
    reason: str
    charge_revision_seen: int
    charge_revision: int


@record
class NothingToBill:
    """The close is settled without an invoice."""

    close_no: int
    reason: str


@record
class CreditNoteIssued:
    """An invoice was taken back in full."""

    credit_note_id: UUID
    number: str | Draw
    invoice_id: UUID
    invoice_number: str
    total: Money
    issued_on: date
    reason: str | None = None


Fact = (
    AccountOpened
    | AccountReopened
    | ChargeLogged
    | ChargeRemoved
    | InvoiceIssued
    | InvoiceDrafted
    | NothingToBill
    | CreditNoteIssued
)
