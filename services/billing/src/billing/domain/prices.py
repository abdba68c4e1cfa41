"""The price book: what can be charged and for how much. One for the installation; every change is a new version."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.domain import rights
from billing.domain.currencies import DECIMALS
from billing.domain.money import MOST_PRICE, MOST_RATE, Money, fits, is_price, plain, rounded
from billing.domain.refusals import MayNotSetPrices
from chassis.decision import Actor, Invalid, Known, changed, record

PRICE_BOOK = UUID("6f1d1a8e-4a0e-5c52-9d53-6d1f0f6d7a10")
"""The subject of the installation's price book."""

PRICE_BOOKS = "price_books"
"""Where the price book is found among what is known."""

MOST_ENTRIES = 1000


@record
class Entry:
    """Something that can be charged. `kind` is "fee" or "product"; `tax_rate` is a share."""

    sku: str
    description: str
    kind: str
    unit_price: Money
    tax_rate: Decimal


@record
class PriceBook:
    """The prices in force."""

    version: int
    currency: str
    entries: tuple[Entry, ...]

    def entry(self, sku: str) -> Entry | None:
        """The entry of this name."""
        return next((each for each in self.entries if each.sku == sku), None)


@record
class SetPriceBook:
    """Replace the whole price book."""

    currency: str
    entries: tuple[Entry, ...]
    actor: Actor


@record
class PriceBookSet:
    """These prices are in force from now on."""

    version: int
    currency: str
    entries: tuple[Entry, ...]


def decide(state: PriceBook | None, message: Any, now: datetime, known: Known) -> Sequence[PriceBookSet]:
    """A new version, unless nothing changed. Refuses prices that could not be charged."""
    if not isinstance(message, SetPriceBook):
        raise TypeError(f"a price book does not understand {type(message).__name__}")
    if not rights.may_set_prices(message.actor, known):
        raise MayNotSetPrices("Only billing staff set prices.")
    errors = dict(_errors(message))
    if errors:
        raise Invalid("The price book cannot be charged from.", errors)
    entries = tuple(_written_plainly(each) for each in message.entries)
    if state and (state.currency, state.entries) == (message.currency, entries):
        return []
    return [PriceBookSet((state.version if state else 0) + 1, message.currency, entries)]


def evolve(state: PriceBook | None, fact: PriceBookSet) -> PriceBook:
    """The book after a fact."""
    return PriceBook(fact.version, fact.currency, fact.entries)


def _written_plainly(entry: Entry) -> Entry:
    price = rounded(entry.unit_price.amount, entry.unit_price.currency)
    return changed(entry, unit_price=price, tax_rate=plain(entry.tax_rate))


def _errors(message: SetPriceBook) -> Iterator[tuple[str, str]]:
    if message.currency not in DECIMALS:
        yield "/currency", "a currency code of ISO 4217"
    if len(message.entries) > MOST_ENTRIES:
        yield "/entries", f"at most {MOST_ENTRIES} entries"
    seen: set[str] = set()
    for n, entry in enumerate(message.entries):
        for field, why in _entry_errors(entry, message.currency, seen):
            yield f"/entries/{n}/{field}", why
        seen.add(entry.sku)


def _entry_errors(entry: Entry, currency: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    if entry.sku in seen:
        yield "sku", "named once"
    if entry.kind not in ("fee", "product"):
        yield "kind", "fee or product"
    if entry.unit_price.currency != currency:
        yield "unit_price/currency", f"the book's currency, {currency}"
    elif not is_price(entry.unit_price):
        yield "unit_price/amount", f"from 0 to {MOST_PRICE}, no finer than the currency"
    if not fits(entry.tax_rate, most=MOST_RATE):
        yield "tax_rate", f"a share from 0 to {MOST_RATE}, at most six decimals"
