"""An existing system's log: one row a change. Rows that cannot be read are listed, the rest goes on."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from cli.importing.mapping import Mapping
from cli.importing.rows import BadRow, Row, Rows

GZIP = b"\x1f\x8b"


class WrongLog(Exception):
    """The file as a whole cannot be read, or lacks columns that the mapping names."""


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

    def need_rows(self) -> None:
        """Raise WrongLog when it has rows and none of them can be read."""
        if self.unreadable and not self.rows:
            bad = self.unreadable[0]
            why = f"line {bad.line}: {bad.reason} ({bad.detail})"
            raise WrongLog(f"none of its {self.changes} rows can be read; {why}")


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
    log, rows = Log(""), Rows(mapping, header, now)
    for line, cells in _records(reader, log):
        log.changes += 1
        try:
            row = rows.read(line, cells)
        except BadRow as bad:
            log.unreadable.append(Unreadable(line, rows.case_of(cells), bad.reason, bad.detail))
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
