"""Request numbers as people read them (semantics, d6): unique and increasing, gaps allowed."""

import re
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from chassis.decision import record

SERIES = "request_numbers"
_TOKEN = re.compile(r"\{([a-z]*)(:(?:0?[1-9]\d?)?d)?\}")
_KNOWN = {"", "year", "month", "day"}
_DIGITS = {"": r" *(\d+)", "year": r"\d{4}", "month": r"\d\d", "day": r"\d\d"}
_LONGEST = 40


@record
class Scheme:
    """How a number is written.

    `pattern` holds `{:06d}` for the number itself, exactly once: so no two requests read alike. `{year}`, `{month}` and
    `{day}` (in the installation's zone) may stand around it. Zero-padding grows when it must.
    """

    pattern: str = "R-{:06d}"
    zone: str = "UTC"

    def write(self, number: int, at: datetime) -> str:
        """The number of a request that was recorded `at`."""
        if not _dated(self.pattern):
            return self.pattern.format(number)
        local = at.astimezone(ZoneInfo(self.zone))
        return self.pattern.format(number, year=f"{local:%Y}", month=f"{local:%m}", day=f"{local:%d}")

    def read(self, written: str) -> int | None:
        """The number itself of what `write` wrote; None for what another scheme wrote."""
        found = _reading(self.pattern).fullmatch(written)
        return int(found[1]) if found else None


@cache
def _reading(pattern: str) -> re.Pattern[str]:
    """What reads a number of this pattern back."""
    at, parts = 0, []
    for token in _TOKEN.finditer(pattern):
        parts += [re.escape(pattern[at : token.start()]), _DIGITS[token[1]]]
        at = token.end()
    return re.compile("".join([*parts, re.escape(pattern[at:])]))


@cache
def _dated(pattern: str) -> bool:
    """Whether the day of the record is part of its number."""
    return any(name for name, _ in _TOKEN.findall(pattern))


def checked(pattern: str, zone: str) -> Scheme:
    """The scheme of this pattern and zone; raises ValueError, with the reason, for one that cannot serve."""
    tokens = _TOKEN.findall(pattern)
    if [name for name, _ in tokens].count("") != 1:
        raise ValueError("a number's pattern holds {:06d} (or another width) exactly once")
    unknown = [name for name, width in tokens if name not in _KNOWN or (name and width)]
    if unknown or set("{}") & set(_TOKEN.sub("", pattern)):
        raise ValueError("a number's pattern knows {year}, {month} and {day} beside the number")
    scheme = Scheme(pattern, zone)
    if len(scheme.write(10**12, datetime(2000, 1, 1, tzinfo=UTC))) > _LONGEST:
        raise ValueError(f"a number has at most {_LONGEST} characters")
    return scheme
