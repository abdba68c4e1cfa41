"""Commands that billing takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import Command, Money, Part
from contracts.fields import ChargeKind, Line, Quantity, Rate, Reason, Sku
from contracts.money import Currency


class PriceEntry(Part):
    """An article and what one of it costs, without tax."""

    sku: Sku
    description: Line
    kind: ChargeKind
    unit_price: Money
    tax_rate: Rate


class SetPriceBook(Command):
    """Put a new version of a currency's price book in force. Charges already logged keep theirs."""

    type: ClassVar[str] = "billing.set-price-book"
    service: ClassVar[str] = "billing"
    scope: ClassVar[str] = "billing:prices"

    currency: Currency
    entries: Annotated[tuple[PriceEntry, ...], Field(max_length=5000)]


class LogCharge(Command):
    """Put a charge on the request (the subject). Refused once the request is closed."""

    type: ClassVar[str] = "billing.log-charge"
    service: ClassVar[str] = "billing"
    scope: ClassVar[str] = "billing:write"

    sku: Sku
    quantity: Quantity = "1"
    description: Line | None = None
    unit_price: Money | None = None
    """Overrides the price book; needs the right `billing:override`."""


class RemoveCharge(Command):
    """Take a charge off the request (the subject) while it is open."""

    type: ClassVar[str] = "billing.remove-charge"
    service: ClassVar[str] = "billing"
    scope: ClassVar[str] = "billing:write"

    line_id: UUID


class IssueDraft(Command):
    """Issue the invoice that was drafted for review, with the charges that billing holds."""

    type: ClassVar[str] = "billing.issue-draft"
    service: ClassVar[str] = "billing"
    scope: ClassVar[str] = "billing:issue"

    invoice_id: UUID


class IssueCreditNote(Command):
    """Take an issued invoice back in full."""

    type: ClassVar[str] = "billing.issue-credit-note"
    service: ClassVar[str] = "billing"
    scope: ClassVar[str] = "billing:issue"

    invoice_id: UUID
    reason: Reason
