"""What billing tells: charges, invoices, credit notes, and that there was nothing to bill. And what it takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import ActorRef, Event, Money, Part, Personal
from contracts.commands.billing import IssueCreditNote, IssueDraft, LogCharge, PriceEntry, RemoveCharge, SetPriceBook
from contracts.fields import ChargeKind, Count, Day, Known, Line, Number, Quantity, Rate, Reason, Sku, Slug, Version
from contracts.money import Currency

__all__ = [
    "ChargeLogged",
    "ChargeRemoved",
    "CreditNoteIssued",
    "InvoiceDrafted",
    "InvoiceIssued",
    "InvoiceLine",
    "IssueCreditNote",
    "IssueDraft",
    "LogCharge",
    "NothingToBill",
    "PriceEntry",
    "RemoveCharge",
    "SetPriceBook",
]


class _Told(Event):
    topic: ClassVar[str] = "billing.accounts"
    service: ClassVar[str] = "billing"


class ChargeLogged(_Told):
    """A charge was put on the request. Every change of charges raises `revision` by one."""

    type: ClassVar[str] = "billing.charge-logged"
    readers: ClassVar[tuple[str, ...]] = ("workflow",)

    line_id: UUID
    revision: Version
    kind: ChargeKind
    sku: Sku
    description: Line
    quantity: Quantity
    unit_price: Money
    tax_rate: Rate
    net: Money
    tax: Money
    price_book_version: Count
    logged_by: ActorRef


class ChargeRemoved(_Told):
    """A charge was taken off again, before the request closed."""

    type: ClassVar[str] = "billing.charge-removed"
    readers: ClassVar[tuple[str, ...]] = ("workflow",)

    line_id: UUID
    revision: Version


class InvoiceLine(Part):
    """One line of an invoice; rounded to the currency's smallest unit."""

    line_id: UUID
    sku: Sku
    description: Line
    quantity: Quantity
    unit_price: Money
    net: Money
    tax_rate: Rate
    tax: Money


class InvoiceIssued(_Told):
    """The invoice of one resolved close. Sent exactly once per request and `close_no`; never changed afterwards."""

    type: ClassVar[str] = "billing.invoice-issued"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "notifications")

    invoice_id: UUID
    number: Number
    """Without gaps within its series and year."""
    close_no: Version
    contact_id: UUID
    currency: Currency
    lines: Annotated[tuple[InvoiceLine, ...], Field(min_length=1, max_length=500)]
    net: Money
    tax: Money
    total: Money
    issued_on: Day


class InvoiceDrafted(_Told):
    """A close saw other charges than billing holds; somebody must look before the invoice goes out."""

    type: ClassVar[str] = "billing.invoice-drafted"
    readers: ClassVar[tuple[str, ...]] = ("workflow",)

    invoice_id: UUID
    close_no: Version
    reason: Annotated[Slug, Known("charge-revision-differs")]
    charge_revision_seen: Count
    charge_revision: Count


class NothingToBill(_Told):
    """A close makes no invoice, and this is why. Every close is answered by this, a draft or an invoice."""

    type: ClassVar[str] = "billing.nothing-to-bill"
    readers: ClassVar[tuple[str, ...]] = ("workflow",)

    close_no: Version
    reason: Annotated[Slug, Known("no-charges", "not-resolved", "history", "nothing-new")]


class CreditNoteIssued(_Told):
    """An invoice is taken back in full; its lines may be billed again."""

    type: ClassVar[str] = "billing.credit-note-issued"
    readers: ClassVar[tuple[str, ...]] = ("workflow", "notifications")

    credit_note_id: UUID
    number: Number
    invoice_id: UUID
    invoice_number: Number
    total: Money
    reason: Annotated[Reason | None, Personal()] = None
    issued_on: Day
