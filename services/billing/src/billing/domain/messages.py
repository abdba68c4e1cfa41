"""What an account can be told or asked."""

from decimal import Decimal
from uuid import UUID

from billing.domain.money import Money
from chassis.decision import Actor, record


@record
class Open:
    """The request has come to life."""

    contact_id: UUID
    number: str


@record
class LogCharge:
    """Put something of the price book on the request."""

    sku: str
    quantity: Decimal
    description: str | None
    unit_price: Money | None
    actor: Actor


@record
class RemoveCharge:
    """Take a charge off again."""

    line_id: UUID
    actor: Actor


@record
class Close:
    """The request closed; the closer had seen `charge_revision`."""

    close_no: int
    outcome: str
    charge_revision: int
    contact_id: UUID
    number: str
    history: bool


@record
class Reopen:
    """The request is worked on again."""

    close_no: int


@record
class IssueDraft:
    """The draft has been looked at; make it an invoice as it stands."""

    invoice_id: UUID
    actor: Actor


@record
class IssueCreditNote:
    """Take an issued invoice back in full."""

    invoice_id: UUID
    reason: str
    actor: Actor
