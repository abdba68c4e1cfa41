"""The types of fields: bounded texts, open enumerations, instants, decimals, and the mark of a personal field."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, JsonValue, Strict, StringConstraints
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_json

CUSTOM_BYTES = 32 * 1024
CUSTOM_KEYS = 50
FIRST_YEAR, LAST_YEAR = 1969, 2200
"""Outside: no time of a request lies further away, and sums with it must not leave the calendar."""

NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
"""One line: no control character at all, nothing that ends a line, nothing that turns the direction of what follows."""
NO_CONTROLS_BUT_LAYOUT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
"""Several lines: tab, line feed and carriage return are allowed."""


class Personal:
    """Marks a field that says something about a person.

    It is optional in the contract, because erasing the person removes it from facts already told.
    """

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"x-personal": True}


class Known:
    """Names the values of an open enumeration that are in use today; a reader must stand others."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"x-known-values": list(self.values)}


def _written_as(form: re.Pattern[str], what: str) -> BeforeValidator:
    """Take a text of this form alone: Pydantic would read a number, in digits too, as seconds since 1970."""

    def check(value: Any) -> Any:
        if isinstance(value, int | float) or (isinstance(value, str) and form.match(value) is None):
            raise ValueError(f"{what} is an RFC 3339 string")
        return value

    return BeforeValidator(check)


def _in_utc(at: datetime) -> datetime:
    within = FIRST_YEAR < at.year < LAST_YEAR
    utc = at.astimezone(UTC) if within else at
    if not (within and FIRST_YEAR < utc.year < LAST_YEAR):  # as it is written here, it is read again
        raise ValueError(f"a time lies from {FIRST_YEAR + 1} to {LAST_YEAR - 1}")
    return utc


def _custom(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    text = to_json(values)
    if len(text) > CUSTOM_BYTES:
        raise ValueError(f"at most {CUSTOM_BYTES} bytes as JSON, these are {len(text)}")
    if _DOUBTFUL.search(text) is None:  # nearly always; a walk in Python costs as much as the rest of a submission
        return values
    for leaf in _leaves(values):
        if isinstance(leaf, str) and _CONTROL.search(leaf):
            raise ValueError("control characters are not allowed")
        if isinstance(leaf, int) and not -MAX_INTEGER <= leaf <= MAX_INTEGER:
            raise ValueError(f"integers lie within {MAX_INTEGER} of 0")
    return values


def _leaves(value: JsonValue) -> Iterator[JsonValue]:
    """Every scalar of a JSON value, names of members included."""
    open_ends = [value]
    while open_ends:
        one = open_ends.pop()
        if isinstance(one, dict):
            open_ends.extend(one)
            open_ends.extend(one.values())
        elif isinstance(one, list):
            open_ends.extend(one)
        else:
            yield one


MAX_INTEGER = 2**53 - 1
"""Further from 0 than this, JSON readers round integers (RFC 8259, section 6)."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DOUBTFUL = re.compile(rb"\\[ubf]|\x7f|\xc2[\x80-\x9f]|[0-9]{16}")
"""What JSON text holds whenever one of its strings has a control character or one of its numbers may be refused."""
_PART = r"[^\s\x00-\x1f\x7f-\x9f@]+"

# Texts. The length is counted in characters (Unicode code points).
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_CONTROLS)]
Summary = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_CONTROLS)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=NO_CONTROLS)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_CONTROLS_BUT_LAYOUT)]
LongText = Annotated[str, StringConstraints(max_length=32_768, pattern=NO_CONTROLS_BUT_LAYOUT)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=32_768, pattern=NO_CONTROLS_BUT_LAYOUT)]
Number = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=NO_CONTROLS)]
Login = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=NO_CONTROLS)]
Email = Annotated[
    str, StringConstraints(max_length=320, pattern=r"^[^\s\x00-\x1f\x7f-\x9f@]+@[^\s\x00-\x1f\x7f-\x9f@]+$")
]
Phone = Annotated[str, StringConstraints(min_length=3, max_length=40, pattern=r"^[0-9+() ./x-]+$")]
Locale = Annotated[str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:/-]+$")]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")]
Hash = Annotated[str, StringConstraints(min_length=8, max_length=128, pattern=r"^[A-Za-z0-9:_=+/-]+$")]

# Numbers. Decimals travel as strings, so that no reader rounds them.
Count = Annotated[int, Strict(), Field(ge=0, le=2**53 - 1)]
Version = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
Minutes = Annotated[int, Strict(), Field(ge=1, le=3_650 * 24 * 60)]
Days = Annotated[int, Strict(), Field(ge=0, le=3_650)]
"""An allowed time, of ten years at most: what is due after it still lies in the calendar of `Instant`."""
Flag = Annotated[bool, Strict()]
Quantity = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$")]
Rate = Annotated[str, StringConstraints(pattern=r"^(0|1)(\.[0-9]{1,6})?$")]
"""A share of one: "0.19" is 19 %."""

Instant = Annotated[
    AwareDatetime,
    _written_as(re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d"), "a time"),
    AfterValidator(_in_utc),
]
"""A moment with its offset (RFC 3339) from 1970 to 2199, held in UTC."""
Day = Annotated[date, _written_as(re.compile(r"\d{4}-\d\d-\d\d$"), "a day")]

Key = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Custom = Annotated[
    dict[Key, JsonValue],
    Field(max_length=CUSTOM_KEYS, json_schema_extra={"x-max-bytes": CUSTOM_BYTES}),
    AfterValidator(_custom),
]
"""Further fields of a request as the organisation names them: at most 50 keys and 32 KiB."""

# Open enumerations.
Mode = Annotated[Slug, Known("live", "history")]
Channel = Annotated[Slug, Known("portal", "agent", "api", "import")]
State = Annotated[Slug, Known("new", "in-progress", "closed")]
Level = Annotated[Slug, Known("low", "medium", "high", "critical")]
Outcome = Annotated[Slug, Known("resolved", "unresolved", "cancelled")]
WaitingFor = Annotated[Slug, Known("customer", "vendor", "other")]

Ids = tuple[UUID, ...]
Decision = Annotated[Slug, Known("approve", "refuse")]
ChargeKind = Annotated[Slug, Known("fee", "product")]
