"""What can be asked of this service, over HTTP and on inbound topics alike."""

from decimal import Decimal

from billing.deciders import ACCOUNTS, PRICES
from billing.domain import messages, prices
from billing.domain.money import Money
from chassis.commands import Caller, Commands
from contracts import base, billing

commands = Commands("billing")


def _money(money: base.Money) -> Money:
    return Money(money.amount, money.currency)


@commands.on(
    billing.SetPriceBook,
    "PUT",
    "/price-book",
    scope="billing:prices",
    into=PRICES,
    subject=lambda path, body: prices.PRICE_BOOK,
)
def set_price_book(body: billing.SetPriceBook, caller: Caller) -> prices.SetPriceBook:
    """Replace the price book by a new version."""
    entries = tuple(
        prices.Entry(each.sku, each.description, each.kind, _money(each.unit_price), Decimal(each.tax_rate))
        for each in body.entries
    )
    return prices.SetPriceBook(body.currency, entries, caller.actor)


@commands.on(billing.LogCharge, "POST", "/requests/{subject}/charges", scope="billing:write", into=ACCOUNTS, status=201)
def log_charge(body: billing.LogCharge, caller: Caller) -> messages.LogCharge:
    """Put something of the price book on an open request."""
    unit_price = _money(body.unit_price) if body.unit_price else None
    return messages.LogCharge(body.sku, Decimal(body.quantity), body.description, unit_price, caller.actor)


@commands.on(
    billing.RemoveCharge, "DELETE", "/requests/{subject}/charges/{line_id}", scope="billing:write", into=ACCOUNTS
)
def remove_charge(body: billing.RemoveCharge, caller: Caller) -> messages.RemoveCharge:
    """Take a charge off an open request."""
    return messages.RemoveCharge(body.line_id, caller.actor)


@commands.on(
    billing.IssueDraft, "POST", "/requests/{subject}/invoices/{invoice_id}/issue", scope="billing:issue", into=ACCOUNTS
)
def issue_draft(body: billing.IssueDraft, caller: Caller) -> messages.IssueDraft:
    """Make a reviewed draft an invoice, as it stands."""
    return messages.IssueDraft(body.invoice_id, caller.actor)


@commands.on(
    billing.IssueCreditNote,
    "POST",
    "/requests/{subject}/invoices/{invoice_id}/credit-notes",
    scope="billing:issue",
    into=ACCOUNTS,
    status=201,
)
def issue_credit_note(body: billing.IssueCreditNote, caller: Caller) -> messages.IssueCreditNote:
    """Take an issued invoice back in full."""
    return messages.IssueCreditNote(body.invoice_id, body.reason, caller.actor)
