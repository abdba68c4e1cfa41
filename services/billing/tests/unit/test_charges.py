"""Charges: logged and removed while the request is open, at the price of the day."""

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest

from billing.domain.account import decide, evolve
from billing.domain.facts import ChargeLogged, ChargeRemoved, Ref
from billing.domain.messages import Close, LogCharge, Open, RemoveCharge, Reopen
from billing.domain.money import MOST_QUANTITY, Money
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, Entry, PriceBook
from billing.domain.records import Person
from billing.domain.refusals import (
    CurrencyDiffers,
    MayNotCharge,
    MayNotOverride,
    NoPriceBook,
    RequestClosed,
    TooManyLines,
    UnknownLine,
    UnknownRequest,
    UnknownSku,
)
from billing.domain.state import MOST_LINES, MOST_TEXT, Account
from chassis.decision import SYSTEM, Actor, Invalid, changed
from testkit.deciding import Facts

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
CONTACT, AGENT, OTTO, READER = (UUID(int=n) for n in range(1, 5))
BOOK = PriceBook(
    7,
    "EUR",
    (
        Entry("CABLE", "A cable", "product", Money(D("9.99"), "EUR"), D("0.19")),
        Entry("VISIT", "A visit", "fee", Money(D("120.00"), "EUR"), D(0)),
        Entry("TOWER", "A tower", "product", Money(D("1000000000.00"), "EUR"), D(0)),
    ),
)
STAFF = {
    ("person", str(AGENT)): Person(AGENT, True, ("agent",)),
    ("person", str(OTTO)): Person(OTTO, False, ("agent",)),
    ("person", str(READER)): Person(READER, True, ("approver",)),
}
DOCUMENTS = {**STAFF, (PRICE_BOOKS, str(PRICE_BOOK)): BOOK}
KNOWN = Facts(DOCUMENTS)
ACTOR = Actor("person", AGENT)
OPEN = Account(CONTACT, "R-000001")
CHARGE = LogCharge("CABLE", D(3), None, None, ACTOR)


def after(state: Account | None, *messages: Any) -> Account:
    for n, message in enumerate(messages):
        for fact in decide(state, message, NOW, Facts(DOCUMENTS, message=UUID(int=n))):
            state = evolve(state, fact)
    assert state is not None
    return state


def logged(message: LogCharge, account: Account = OPEN) -> ChargeLogged:
    [fact] = decide(account, message, NOW, KNOWN)
    assert isinstance(fact, ChargeLogged)
    return fact


def test_S50_a_charge_copies_price_rate_and_version_of_the_price_book() -> None:
    fact = logged(CHARGE)
    assert (fact.unit_price, fact.tax_rate, fact.price_book_version) == (Money(D("9.99"), "EUR"), D("0.19"), 7)
    assert (fact.net.amount, fact.tax.amount) == (D("29.97"), D("5.69"))
    assert (fact.kind, fact.description, fact.logged_by) == ("product", "A cable", Ref("person", AGENT))


def test_S50_a_charge_may_have_its_own_description() -> None:
    assert logged(changed(CHARGE, description="Blue")).description == "Blue"


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "0.0000001", str(MOST_QUANTITY + 1)])
def test_a_quantity_must_be_more_than_zero_and_within_its_limits(quantity: str) -> None:
    with pytest.raises(Invalid) as refused:
        logged(changed(CHARGE, quantity=D(quantity)))
    assert refused.value.detail == "A quantity cannot be this."


@pytest.mark.parametrize("quantity", ["0.000001", "1", str(MOST_QUANTITY)])
def test_the_bounds_of_a_quantity_are_allowed(quantity: str) -> None:
    assert logged(changed(CHARGE, quantity=D(quantity))).quantity == D(quantity)


def test_a_line_is_worth_at_most_its_limit() -> None:
    assert logged(changed(CHARGE, sku="TOWER", quantity=D(100))).net.amount == D("100000000000.00")
    with pytest.raises(Invalid):
        logged(changed(CHARGE, sku="TOWER", quantity=D("100.000001")))


def test_a_price_of_ones_own_needs_the_right() -> None:
    own = changed(CHARGE, unit_price=Money(D("5"), "EUR"))
    with pytest.raises(MayNotOverride):
        logged(own)
    fact = logged(changed(own, actor=Actor("person", AGENT, frozenset({"billing:override"}))))
    assert (fact.unit_price.amount, fact.net.amount) == (D("5.00"), D("15.00"))


@pytest.mark.parametrize("price", [Money(D("-1"), "EUR"), Money(D("1.001"), "EUR"), Money(D(1), "QQQ")])
def test_what_is_no_price_is_refused(price: Money) -> None:
    actor = Actor("client", None, frozenset({"billing:override"}))
    with pytest.raises(Invalid):
        logged(changed(CHARGE, unit_price=price, actor=actor))


def test_lines_of_one_request_share_a_currency() -> None:
    actor = Actor("client", None, frozenset({"billing:override"}))
    dollars = changed(CHARGE, unit_price=Money(D(1), "USD"), actor=actor)
    with pytest.raises(CurrencyDiffers):
        logged(dollars, after(OPEN, CHARGE))
    assert logged(dollars).net.currency == "USD"


def test_an_unknown_article_and_a_missing_price_book_have_names_of_their_own() -> None:
    with pytest.raises(UnknownSku):
        logged(changed(CHARGE, sku="GOLD"))
    with pytest.raises(NoPriceBook):
        decide(OPEN, CHARGE, NOW, Facts(STAFF))


@pytest.mark.parametrize(
    "actor", [Actor("contact", CONTACT), Actor("person", OTTO), Actor("person", READER), Actor("person", UUID(int=9))]
)
def test_only_active_staff_who_work_on_requests_charge(actor: Actor) -> None:
    with pytest.raises(MayNotCharge):
        decide(OPEN, changed(CHARGE, actor=actor), NOW, KNOWN)
    with pytest.raises(MayNotCharge):
        decide(OPEN, RemoveCharge(UUID(int=1), actor), NOW, KNOWN)


@pytest.mark.parametrize("actor", [Actor("client"), SYSTEM, ACTOR])
def test_other_systems_charge_like_staff(actor: Actor) -> None:
    assert logged(changed(CHARGE, actor=actor)).logged_by.kind == actor.kind


def test_every_change_of_the_charges_raises_the_revision_by_one() -> None:
    account = after(OPEN, CHARGE, CHARGE)
    [removed] = decide(account, RemoveCharge(account.lines[0].line_id, ACTOR), NOW, KNOWN)
    assert isinstance(removed, ChargeRemoved)
    assert [account.lines[0].revision, account.lines[1].revision, removed.revision] == [1, 2, 3]
    assert evolve(account, removed).lines == account.lines[1:]


def test_removing_what_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownLine):
        decide(OPEN, RemoveCharge(UUID(int=9), ACTOR), NOW, KNOWN)


@pytest.mark.parametrize("outcome", ["resolved", "unresolved", "cancelled"])
def test_S51_charges_are_frozen_by_every_close(outcome: str) -> None:
    account = after(OPEN, CHARGE)
    line = account.lines[0].line_id
    closed = after(account, Close(1, outcome, 1, CONTACT, "R-000001", False))
    for message in (CHARGE, RemoveCharge(line, ACTOR)):
        with pytest.raises(RequestClosed):
            decide(closed, message, NOW, KNOWN)


def test_S51_a_reopened_request_can_be_charged_again() -> None:
    reopened = after(OPEN, Close(1, "resolved", 0, CONTACT, "R-000001", False), Reopen(1))
    assert logged(CHARGE, reopened).revision == 1


def test_a_request_that_billing_has_not_heard_of_cannot_be_charged_yet() -> None:
    with pytest.raises(UnknownRequest):
        decide(None, CHARGE, NOW, KNOWN)
    assert after(None, Open(CONTACT, "R-000001")) == OPEN


def test_a_request_carries_a_limited_number_of_lines() -> None:
    line = after(OPEN, CHARGE).lines[0]
    almost = changed(OPEN, lines=(line,) * (MOST_LINES - 1))
    assert logged(CHARGE, almost)
    with pytest.raises(TooManyLines):
        logged(CHARGE, changed(OPEN, lines=(line,) * MOST_LINES))


def test_lines_frozen_in_a_draft_count_too() -> None:
    line = after(OPEN, CHARGE).lines[0]
    full = changed(OPEN, lines=(line,) * MOST_LINES)
    drafted = after(full, Close(1, "resolved", 99, CONTACT, "R-000001", False), Reopen(1))
    with pytest.raises(TooManyLines):
        logged(CHARGE, drafted)


def test_the_texts_of_a_request_are_bounded_so_that_an_invoice_fits_into_one_event() -> None:
    line = changed(after(OPEN, CHARGE).lines[0], description="x" * (MOST_TEXT // 4 - 5))
    account = changed(OPEN, lines=(line,) * 3)
    room = MOST_TEXT - 3 * line.text() - len("CABLE")
    assert logged(changed(CHARGE, description="y" * room), account)
    with pytest.raises(TooManyLines):
        logged(changed(CHARGE, description="y" * (room + 1)), account)
    with pytest.raises(TooManyLines):
        logged(changed(CHARGE, description='"' * (room // 2 + 1)), account)
