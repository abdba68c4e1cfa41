"""The price book: replaced as a whole, a new version each time."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest

from billing.domain.money import MOST_PRICE, Money
from billing.domain.prices import MOST_ENTRIES, Entry, PriceBook, SetPriceBook, decide, evolve
from billing.domain.records import Person
from billing.domain.refusals import MayNotSetPrices
from chassis.decision import Actor, Invalid
from testkit.deciding import Facts

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
BEA, AGENT, OTTO = UUID(int=1), UUID(int=2), UUID(int=3)
KNOWN = Facts(
    {
        ("person", str(BEA)): Person(BEA, True, ("billing",)),
        ("person", str(AGENT)): Person(AGENT, True, ("agent",)),
        ("person", str(OTTO)): Person(OTTO, False, ("billing",)),
    }
)
HOUR = Entry("HOUR", "An hour of work", "fee", Money(D("90.00"), "EUR"), D("0.19"))
CABLE = Entry("CABLE", "A cable", "product", Money(D("9.99"), "EUR"), D("0.19"))


def set_book(*entries: Entry, currency: str = "EUR", actor: Actor | None = None) -> SetPriceBook:
    return SetPriceBook(currency, entries, actor or Actor("person", BEA))


def book(*entries: Entry) -> PriceBook:
    [fact] = decide(None, set_book(*entries), NOW, KNOWN)
    return evolve(None, fact)


def test_S50_the_first_book_is_version_one_and_the_next_two() -> None:
    first = book(HOUR)
    [fact] = decide(first, set_book(HOUR, CABLE), NOW, KNOWN)
    assert (first.version, fact.version) == (1, 2)
    assert evolve(first, fact).entry("CABLE") == CABLE


def test_setting_the_same_prices_again_is_no_new_version() -> None:
    assert decide(book(HOUR), set_book(HOUR), NOW, KNOWN) == []


def test_prices_are_kept_with_the_decimals_of_their_currency() -> None:
    entry = book(replace(HOUR, unit_price=Money(D("9E+1"), "EUR"))).entry("HOUR")
    assert entry is not None
    assert str(entry.unit_price.amount) == "90.00"


def test_an_unknown_article_has_no_entry() -> None:
    assert book(HOUR).entry("CABLE") is None


@pytest.mark.parametrize(
    "actor", [Actor("person", AGENT), Actor("person", OTTO), Actor("person", UUID(int=9)), Actor("contact", BEA)]
)
def test_only_active_billing_staff_set_prices(actor: Actor) -> None:
    with pytest.raises(MayNotSetPrices):
        decide(None, set_book(HOUR, actor=actor), NOW, KNOWN)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"unit_price": Money(D("-0.01"), "EUR")}, "/entries/0/unit_price/amount"),
        ({"unit_price": Money(MOST_PRICE + 1, "EUR")}, "/entries/0/unit_price/amount"),
        ({"unit_price": Money(D("1.234"), "EUR")}, "/entries/0/unit_price/amount"),
        ({"unit_price": Money(D(1), "USD")}, "/entries/0/unit_price/currency"),
        ({"tax_rate": D("1.01")}, "/entries/0/tax_rate"),
        ({"tax_rate": D("-0.01")}, "/entries/0/tax_rate"),
        ({"kind": "gift"}, "/entries/0/kind"),
    ],
)
def test_what_cannot_be_charged_is_refused_with_its_place(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        decide(None, set_book(replace(HOUR, **change)), NOW, KNOWN)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]


@pytest.mark.parametrize("change", [{"unit_price": Money(D(0), "EUR")}, {"tax_rate": D(1)}, {"tax_rate": D(0)}])
def test_the_bounds_themselves_can_be_charged(change: dict[str, Any]) -> None:
    assert book(replace(HOUR, **change)).version == 1


def test_an_article_is_named_once_and_the_currency_must_exist() -> None:
    with pytest.raises(Invalid) as twice:
        decide(None, set_book(HOUR, HOUR), NOW, KNOWN)
    assert twice.value.facts["errors"][0]["pointer"] == "/entries/1/sku"
    with pytest.raises(Invalid) as currency:
        decide(None, set_book(currency="EUX"), NOW, KNOWN)
    assert currency.value.facts["errors"][0]["pointer"] == "/currency"


def test_a_book_has_a_limited_number_of_entries() -> None:
    entries = [replace(HOUR, sku=f"S{n}") for n in range(MOST_ENTRIES + 1)]
    assert len(book(*entries[:-1]).entries) == MOST_ENTRIES
    with pytest.raises(Invalid):
        decide(None, set_book(*entries), NOW, KNOWN)
