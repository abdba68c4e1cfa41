"""The laws of money: exact, rounded half up once a line, sums that add up."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.currencies import DECIMALS
from billing.domain.money import (
    MOST_NET,
    MOST_PRICE,
    MOST_QUANTITY,
    Money,
    fits,
    is_price,
    net_and_tax,
    plain,
    rounded,
    total,
)
from contracts.money import exponent

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


@st.composite
def prices(draw: st.DrawFn) -> Money:
    currency = draw(CURRENCIES)
    return Money(draw(st.decimals(0, MOST_PRICE, places=DECIMALS[currency])), currency)


QUANTITIES = st.decimals(D("0.000001"), MOST_QUANTITY, places=6)
RATES = st.decimals(0, 1, places=6)


def test_three_lines_of_9_99_at_19_percent_carry_5_70_of_tax() -> None:
    lines = [net_and_tax(D(1), Money(D("9.99"), "EUR"), D("0.19")) for _ in range(3)]
    assert total((tax for _, tax in lines), "EUR") == Money(D("5.70"), "EUR")
    assert total((net for net, _ in lines), "EUR") == Money(D("29.97"), "EUR")


def test_one_line_of_three_is_rounded_once() -> None:
    net, tax = net_and_tax(D(3), Money(D("9.99"), "EUR"), D("0.19"))
    assert (net.amount, tax.amount) == (D("29.97"), D("5.69"))


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.005", "EUR", "0.01"),
        ("0.004999", "EUR", "0.00"),
        ("0.015", "EUR", "0.02"),
        ("0.5", "JPY", "1"),
        ("0.499999", "JPY", "0"),
        ("1.0005", "KWD", "1.001"),
        ("1.00049", "KWD", "1.000"),
        ("7", "EUR", "7.00"),
    ],
)
def test_amounts_round_half_up_to_the_decimals_of_their_currency(amount: str, currency: str, expected: str) -> None:
    assert str(rounded(D(amount), currency).amount) == expected


@given(prices(), QUANTITIES, RATES)
def test_a_line_is_within_half_a_unit_of_the_exact_amount(price: Money, quantity: D, rate: D) -> None:
    net, tax = net_and_tax(quantity, price, rate)
    unit = D(1).scaleb(-DECIMALS[price.currency])
    assert abs(net.amount - quantity * price.amount) * 2 <= unit
    assert abs(tax.amount - net.amount * rate) * 2 <= unit
    assert net.amount.as_tuple().exponent == tax.amount.as_tuple().exponent == -DECIMALS[price.currency]


@given(st.lists(st.decimals(0, MOST_NET, places=2), max_size=50))
def test_totals_are_exact_sums(amounts: list[D]) -> None:
    assert total((Money(each, "EUR") for each in amounts), "EUR").amount == sum(amounts, D(0))


def test_two_currencies_are_never_added() -> None:
    with pytest.raises(ValueError, match="JPY among EUR"):
        total([Money(D(1), "JPY")], "EUR")


def test_a_number_is_written_without_an_exponent() -> None:
    assert str(plain(D("1E+2"))) == "100"
    assert str(plain(D("0.50"))) == "0.50"


@pytest.mark.parametrize(
    ("number", "expected"),
    [("0", True), ("10", True), ("10.000001", False), ("-0.1", False), ("0.000001", True), ("0.0000001", False)],
)
def test_a_number_fits_from_zero_to_its_limit_with_six_decimals(number: str, expected: bool) -> None:
    assert fits(D(number), most=D(10)) is expected


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_fits_nowhere(number: str) -> None:
    assert not fits(D(number), most=D(10))


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [("1", "JPY", True), ("1.5", "JPY", False), ("1.234", "KWD", True), ("1.234", "EUR", False), ("1", "XXQ", False)],
)
def test_a_price_is_no_finer_than_its_currency(amount: str, currency: str, expected: bool) -> None:
    assert is_price(Money(D(amount), currency)) is expected


@pytest.mark.parametrize("currency", sorted(DECIMALS))
def test_domain_and_contract_agree_on_decimals(currency: str) -> None:
    assert exponent(currency) == DECIMALS[currency]
