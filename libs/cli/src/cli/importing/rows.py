"""One row of a log as the mapping reads it; what repeats from row to row is worked out once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cli.importing.mapping import FIELDS, Mapping, Meaning, Source
from contracts.fields import NO_CONTROLS

LIMITS = {"summary": 200, "description": 32_768, "category": 120, "contact": 120, "team": 120, "owner": 120}
"""Characters, as the contract has them."""
SHORT = 64
CASE_LIMIT = 200
NEEDED = ("contact", "queue", "summary")
_REMEMBERED = 10_000
_ONE_LINE = re.compile(NO_CONTROLS)


@dataclass(frozen=True, slots=True)
class Row:
    """One change of one case, as the mapping reads it."""

    line: int
    case: str
    at: datetime
    meaning: Meaning
    values: dict[str, str | None]


class BadRow(Exception):
    """A row that says nothing that could be used, and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Rows:
    """Reads the rows under one header."""

    def __init__(self, mapping: Mapping, header: Sequence[str], now: datetime) -> None:
        columns, place = mapping.columns, {name: n for n, name in enumerate(header)}
        self._time = columns.time
        self._now = now
        self._width = len(header)
        self._case_at, self._time_at = place[columns.case], place[columns.time.column]
        self._status_at = tuple(place[name] for name in columns.status)
        self._used = [(name, place[name]) for name in dict.fromkeys(columns.named())]
        self._fields = [_Field(name, source, place) for name, source in columns.sources()]
        self._meaning = lru_cache(_REMEMBERED)(mapping.meaning)

    def case_of(self, cells: Sequence[str]) -> str | None:
        """The case that a row names, even where it says nothing else."""
        return cells[self._case_at].strip() or None if len(cells) == self._width else None

    def read(self, line: int, cells: Sequence[str]) -> Row:
        """The change in a row; raises BadRow."""
        if len(cells) != self._width:
            raise BadRow("wrong-width", f"{len(cells)} cells where the header has {self._width}")
        for name, at in self._used:
            if not cells[at].isprintable():
                _check_signs(name, cells[at])
        case = cells[self._case_at].strip()
        if not case or len(case) > CASE_LIMIT:
            raise BadRow("no-case", f"the case must have 1 to {CASE_LIMIT} characters")
        status = tuple(cells[at].strip() for at in self._status_at)
        meaning = self._meaning(status)
        if meaning is None:
            raise BadRow("status-unknown", f"the mapping does not say what {' / '.join(status)!r} means")
        return Row(line, case, self._moment(cells[self._time_at].strip()), meaning, self._values(cells))

    def _moment(self, text: str) -> datetime:
        form = self._time.format
        try:
            at = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007
            if at.tzinfo is None:
                at = at.replace(tzinfo=ZoneInfo(self._time.zone or "UTC"))
            at = at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise BadRow("time-unreadable", f"{text!r} is no time") from None
        if at > self._now:
            raise BadRow("time-in-future", f"{text} has not come yet")
        return at

    def _values(self, cells: Sequence[str]) -> dict[str, str | None]:
        values: dict[str, str | None] = dict.fromkeys(FIELDS)
        for field in self._fields:
            values[field.name] = field.read(cells)
        for name in NEEDED:
            if not values[name]:
                raise BadRow("field-empty", f"{name} is empty")
        return values


class _Field:
    """One field, and what its cells meant so far."""

    def __init__(self, name: str, source: Source, place: dict[str, int]) -> None:
        self.name = name
        self._source = source
        self._at = tuple(place[column] for column in source.columns)
        self._limit = LIMITS.get(name, SHORT)
        self._seen: dict[tuple[str, ...], str | None] = {}

    def read(self, cells: Sequence[str]) -> str | None:
        key = tuple([cells[at] for at in self._at])
        if key in self._seen:
            return self._seen[key]
        try:
            found = self._source.read(dict(zip(self._source.columns, key, strict=True)))
        except KeyError as unknown:
            what = f"the mapping does not say what {unknown.args[0]!r} means as {self.name}"
            raise BadRow("value-unknown", what) from None
        if found is not None and len(found) > self._limit:
            raise BadRow("too-long", f"{self.name} has {len(found)} characters")
        if len(self._seen) < _REMEMBERED:
            self._seen[key] = found
        return found


def _check_signs(name: str, text: str) -> None:
    if any("\udc80" <= sign <= "\udcff" for sign in text):
        raise BadRow("not-utf8", f"{name} is not UTF-8")
    if _ONE_LINE.fullmatch(text) is None:
        raise BadRow("control-character", f"{name} holds a control character")
