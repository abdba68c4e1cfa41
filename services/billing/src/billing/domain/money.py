"""Amounts of money: decimals only, rounded half up to the currency's exponent, line by line."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

from billing.domain.currencies import DECIMALS
from chassis.decision import record

_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
"""More digits than any product of a quantity, a price and a rate within their limits: only `rounded` rounds."""

MOST_QUANTITY = Decimal(1_000_000)
MOST_PRICE = Decimal(1_000_000_000)
MOST_NET = Decimal(100_000_000_000)
"""Of one line. With the limits of lines and rates, every total stays within fifteen digits before the point."""
MOST_RATE = Decimal(1)
FINEST = 6
"""Decimals that a quantity or a rate may have."""


@record
class Money:
    """An amount in a currency."""

    amount: Decimal
    currency: str


def rounded(amount: Decimal, currency: str) -> Money:
    """The amount with exactly the decimals of its currency, half up."""
    return Money(_EXACT.quantize(amount, Decimal(1).scaleb(-DECIMALS[currency])), currency)


def net_and_tax(quantity: Decimal, unit_price: Money, tax_rate: Decimal) -> tuple[Money, Money]:
    """A line's net amount and the tax on it, each rounded by itself. `tax_rate` is a share: 0.19 is 19 %."""
    net = rounded(_EXACT.multiply(quantity, unit_price.amount), unit_price.currency)
    return net, rounded(_EXACT.multiply(net.amount, tax_rate), unit_price.currency)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum; zero of this currency for none. Adding two currencies is a programming error."""
    summed = Decimal(0)
    for each in amounts:
        if each.currency != currency:
            raise ValueError(f"{each.currency} among {currency}")
        summed = _EXACT.add(summed, each.amount)
    return rounded(summed, currency)


def plain(number: Decimal) -> Decimal:
    """The same number, written without an exponent."""
    return Decimal(format(number, "f"))


def fits(number: Decimal, *, most: Decimal, decimals: int = FINEST) -> bool:
    """Whether a number is from 0 to `most` and has no more than `decimals` decimals."""
    if not number.is_finite() or not 0 <= number <= most:
        return False
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -decimals


def is_price(price: Money) -> bool:
    """Whether this can be the price of one: a known currency, not negative, no finer than the currency."""
    decimals = DECIMALS.get(price.currency)
    return decimals is not None and fits(price.amount, most=MOST_PRICE, decimals=decimals)
