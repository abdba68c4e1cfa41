"""Money: a decimal string and a currency, never a binary fraction."""

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

AMOUNT = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"
_PLAIN = re.compile(AMOUNT[1:-1], re.ASCII)

_DIGITS = {
    currency: digits
    for digits, currencies in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for currency in currencies.split()
}


def exponent(currency: str) -> int:
    """How many decimals the currency's smallest unit has (ISO 4217)."""
    return _DIGITS.get(currency, 2)


def _amount(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("an amount is a decimal string, not a number")
    if isinstance(value, str) and _PLAIN.fullmatch(value) is None:
        raise ValueError('an amount is a plain decimal string such as "12.34"')
    return value


Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(lambda amount: f"{amount:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": AMOUNT, "examples": ["12.34"]}),
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Money(BaseModel):
    """An amount of a currency; never more decimals than the currency has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Amount
    currency: Currency

    @model_validator(mode="after")
    def _fits_the_currency(self) -> Self:
        digits = exponent(self.currency)
        if -int(self.amount.as_tuple().exponent) > digits:
            raise ValueError(f"{self.currency} has {digits} decimals")
        return self
