"""An existing system's log: one row a change. Rows that cannot be read are listed, the rest goes on."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from cli.importing.mapping import FIELDS, Mapping, Meaning

LIMITS = {"summary": 200, "description": 32_768, "category": 120, "contact": 120, "team": 120, "owner": 120}
"""Characters, as the contract has them."""
CASE_LIMIT = 200
GZIP = b"\x1f\x8b"


class WrongLog(Exception):
    """The file as a whole cannot be read, or lacks columns that the mapping names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One change of one case, as the mapping reads it."""

    line: int
    case: str
    at: datetime
    meaning: Meaning
    values: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that says nothing that could be used."""

    line: int
    case: str | None
    reason: str
    detail: str


@dataclass(slots=True)
class Log:
    """A whole log. `content` is the SHA-256 of what is in the file, packed or not."""

    content: str
    changes: int = 0
    rows: dict[str, list[Row]] = field(default_factory=dict)
    """By case, in the log's order."""
    unreadable: list[Unreadable] = field(default_factory=list)


class _Bad(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Bytes(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Hashed(io.RawIOBase):
    """A file whose content is hashed while it is read."""

    def __init__(self, file: "_Bytes") -> None:
        self._file = file
        self.sha = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        found = self._file.read(len(view))
        self.sha.update(found)
        view[: len(found)] = found
        return len(found)


def read(path: Path, mapping: Mapping, now: datetime) -> Log:
    """Read a CSV file, or one packed with gzip. Raises WrongLog."""
    try:
        with path.open("rb") as plain:
            if plain.peek(2)[:2] != GZIP:
                return _read(_Hashed(plain), mapping, now)
            with gzip.GzipFile(fileobj=plain) as packed:
                return _read(_Hashed(packed), mapping, now)
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise WrongLog(f"{path} cannot be read: {error}") from None


def _read(file: _Hashed, mapping: Mapping, now: datetime) -> Log:
    text = io.TextIOWrapper(io.BufferedReader(file), encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text)
    header = [name.strip() for name in next(reader, [])]
    missing = sorted(set(mapping.columns.named()) - set(header))
    if missing:
        raise WrongLog(f"the log has no column {', '.join(missing)}")
    log = Log("")
    for line, cells in _records(reader, log):
        log.changes += 1
        case = cells[header.index(mapping.columns.case)].strip() if len(cells) == len(header) else None
        try:
            row = _row(line, header, cells, mapping, now)
        except _Bad as bad:
            log.unreadable.append(Unreadable(line, case or None, bad.reason, bad.detail))
        else:
            log.rows.setdefault(row.case, []).append(row)
    log.content = file.sha.hexdigest()
    return log


def _records(reader: Any, log: Log) -> Iterator[tuple[int, list[str]]]:
    """(line on which it ends, cells) of every record that is not blank."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            log.changes += 1
            log.unreadable.append(Unreadable(reader.line_num, None, "not-csv", str(error)))
            continue
        if cells:
            yield reader.line_num, cells


def _row(line: int, header: list[str], cells: list[str], mapping: Mapping, now: datetime) -> Row:
    if len(cells) != len(header):
        raise _Bad("wrong-width", f"{len(cells)} cells where the header has {len(header)}")
    row = dict(zip(header, cells, strict=True))
    for name in mapping.columns.named():
        _check_text(name, row[name])
    case = row[mapping.columns.case].strip()
    if not case or len(case) > CASE_LIMIT:
        raise _Bad("no-case", f"the case must have 1 to {CASE_LIMIT} characters")
    status = tuple(row[column].strip() for column in mapping.columns.status)
    meaning = mapping.meaning(status)
    if meaning is None:
        raise _Bad("status-unknown", f"the mapping does not say what {' / '.join(status)!r} means")
    return Row(line, case, _time(row, mapping, now), meaning, _values(row, mapping))


def _check_text(name: str, text: str) -> None:
    if any("\udc80" <= sign <= "\udcff" for sign in text):
        raise _Bad("not-utf8", f"{name} is not UTF-8")
    if any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in text):
        raise _Bad("control-character", f"{name} holds a control character")


def _time(row: dict[str, str], mapping: Mapping, now: datetime) -> datetime:
    time = mapping.columns.time
    text = row[time.column].strip()
    try:
        at = datetime.fromisoformat(text) if time.format == "iso" else datetime.strptime(text, time.format)  # noqa: DTZ007
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(time.zone or "UTC"))
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Bad("time-unreadable", f"{text!r} is no time") from None
    if at > now:
        raise _Bad("time-in-future", f"{text} has not come yet")
    return at


def _values(row: dict[str, str], mapping: Mapping) -> dict[str, str | None]:
    values: dict[str, str | None] = dict.fromkeys(FIELDS)
    for name, source in mapping.columns.sources():
        try:
            found = source.read(row)
        except KeyError as unknown:
            raise _Bad("value-unknown", f"the mapping does not say what {unknown.args[0]!r} means as {name}") from None
        if found is not None and len(found) > LIMITS.get(name, 64):
            raise _Bad("too-long", f"{name} has {len(found)} characters")
        values[name] = found
    for name in ("contact", "queue", "summary"):
        if not values[name]:
            raise _Bad("field-empty", f"{name} is empty")
    return values
