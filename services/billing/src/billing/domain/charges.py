"""Charge lines: logged from the price book while the request is open, never after."""

from collections.abc import Sequence

from billing.domain import rights
from billing.domain.facts import ChargeLogged, ChargeRemoved, Ref
from billing.domain.messages import LogCharge, RemoveCharge
from billing.domain.money import MOST_NET, MOST_PRICE, MOST_QUANTITY, Money, fits, is_price, net_and_tax, plain, rounded
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, Entry, PriceBook
from billing.domain.refusals import (
    CurrencyDiffers,
    MayNotCharge,
    MayNotOverride,
    NoPriceBook,
    RequestClosed,
    TooManyLines,
    UnknownLine,
    UnknownSku,
)
from billing.domain.state import MOST_LINES, MOST_TEXT, Account, text_size
from chassis.decision import Actor, Invalid, Known


def log_charge(account: Account, message: LogCharge, known: Known) -> Sequence[ChargeLogged]:
    """A new line at the price of now: the price book's, or one's own with the right for it."""
    _may_change(account, message.actor, known)
    if not fits(message.quantity, most=MOST_QUANTITY) or not message.quantity:
        raise Invalid("A quantity cannot be this.", {"/quantity": f"more than 0, up to {MOST_QUANTITY}"})
    book, entry = _priced(message.sku, known)
    description = message.description or entry.description
    _has_room(account, text_size(entry.sku) + text_size(description))
    unit_price = _price(message, entry)
    currency = account.currency()
    if currency and unit_price.currency != currency:
        raise CurrencyDiffers(f"The open lines are in {currency}.", currency=currency)
    quantity = plain(message.quantity)
    net, tax = net_and_tax(quantity, unit_price, entry.tax_rate)
    if net.amount > MOST_NET:
        raise Invalid("The line is worth too much.", {"/quantity": f"a net amount up to {MOST_NET}"})
    return [
        ChargeLogged(
            line_id=known.new_id(),
            revision=account.revision + 1,
            kind=entry.kind,
            sku=entry.sku,
            description=description,
            quantity=quantity,
            unit_price=unit_price,
            tax_rate=entry.tax_rate,
            net=net,
            tax=tax,
            price_book_version=book.version,
            logged_by=Ref(message.actor.kind, message.actor.id),
        )
    ]


def remove_charge(account: Account, message: RemoveCharge, known: Known) -> Sequence[ChargeRemoved]:
    """Take an open line off; the revision moves on, it never goes back."""
    _may_change(account, message.actor, known)
    if all(line.line_id != message.line_id for line in account.lines):
        raise UnknownLine("The request has no such open charge line.")
    return [ChargeRemoved(message.line_id, account.revision + 1)]


def _may_change(account: Account, actor: Actor, known: Known) -> None:
    if not rights.may_charge(actor, known):
        raise MayNotCharge("Only staff who work on requests log and remove charges.")
    if account.closed:
        raise RequestClosed("Charges are frozen once the request is closed.", close_no=account.close_no)


def _has_room(account: Account, more_text: int) -> None:
    waiting = account.not_invoiced()
    if len(waiting) >= MOST_LINES:
        raise TooManyLines(f"A request carries at most {MOST_LINES} lines that are not invoiced.")
    if sum(line.text() for line in waiting) + more_text > MOST_TEXT:
        raise TooManyLines(f"The lines of a request carry at most {MOST_TEXT} bytes of text.")


def _priced(sku: str, known: Known) -> tuple[PriceBook, Entry]:
    book: PriceBook | None = known.get(PRICE_BOOKS, PRICE_BOOK)
    if book is None:
        raise NoPriceBook("No price book has been set yet.")
    entry = book.entry(sku)
    if entry is None:
        raise UnknownSku(f"The price book has no {sku}.", sku=sku)
    return book, entry


def _price(message: LogCharge, entry: Entry) -> Money:
    """The price of one: the entry's, or the caller's own where there is a right to it."""
    own = message.unit_price
    if own is None:
        return entry.unit_price
    if not rights.may_override(message.actor):
        raise MayNotOverride("A price of one's own needs the right billing:override.")
    if not is_price(own):
        errors = {"/unit_price": f"from 0 to {MOST_PRICE}, no finer than the currency"}
        raise Invalid("This cannot be a price.", errors)
    return rounded(own.amount, own.currency)
