"""A log is read row by row; what cannot be read is listed and the rest goes on."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.importing import log, mapping
from cli.importing.log import Log, WrongLog

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
MAPPING = mapping.parse("""source: old
columns:
  case: Number
  time: {column: When, zone: Europe/Berlin}
  status: State
  contact: Customer
  queue: {value: desk}
  summary: Title
  impact: {column: Impact, values: {"1": high}}
statuses:
  - {is: open, stage: Work}
""")
HEADER = "Number,When,State,Customer,Title,Impact\n"
GOOD = "7,2026-06-01T10:00:00,open,Jane,smoke,1\n"


def read(tmp_path: Path, content: bytes | str, name: str = "log.csv") -> Log:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return log.read(path, MAPPING, NOW)


def test_a_row_becomes_a_change_with_its_line_and_its_time_in_utc(tmp_path: Path) -> None:
    (row,) = read(tmp_path, HEADER + GOOD).rows["7"]
    assert (row.line, row.at) == (2, datetime(2026, 6, 1, 8, tzinfo=UTC))
    assert (row.values["contact"], row.values["impact"], row.values["owner"]) == ("Jane", "high", None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("7,2026-06-01,open,Jane,smoke\n", "wrong-width"),
        ("7,2026-06-01,open,Jane,smoke,1,more\n", "wrong-width"),
        (",2026-06-01,open,Jane,smoke,1\n", "no-case"),
        ("7,yesterday,open,Jane,smoke,1\n", "time-unreadable"),
        ("7,0001-01-01T00:00:00,open,Jane,smoke,1\n", "time-unreadable"),
        ("7,2026-06-05T14:00:01,open,Jane,smoke,1\n", "time-in-future"),
        ("7,2026-06-01,asleep,Jane,smoke,1\n", "status-unknown"),
        ("7,2026-06-01,open,Jane,smoke,9\n", "value-unknown"),
        ("7,2026-06-01,open,,smoke,1\n", "field-empty"),
        ("7,2026-06-01,open,Jane," + "x" * 201 + ",1\n", "too-long"),
        ("7,2026-06-01,open,Ja\x07ne,smoke,1\n", "control-character"),
        ("7,2026-06-01,open,Ja\u202ene,smoke,1\n", "control-character"),
    ],
)
def test_an_unreadable_row_is_listed_with_line_and_reason_and_the_rest_goes_on(
    tmp_path: Path, row: str, reason: str
) -> None:
    found = read(tmp_path, HEADER + GOOD + row + GOOD)
    assert [(bad.line, bad.reason) for bad in found.unreadable] == [(3, reason)]
    assert [row.line for row in found.rows["7"]] == [2, 4]
    assert found.changes == 3


def test_a_log_of_which_no_row_can_be_read_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(
        WrongLog, match=r"none of its 2 rows can be read; line 2: time-unreadable \('yesterday' is no time"
    ):
        read(tmp_path, HEADER + "7,yesterday,open,Jane,smoke,1\n" * 2).need_rows()


@pytest.mark.parametrize("rows", ["", GOOD, GOOD + "7,yesterday,open,Jane,smoke,1\n"])
def test_a_log_of_which_some_row_can_be_read_or_that_has_none_is_taken(tmp_path: Path, rows: str) -> None:
    read(tmp_path, HEADER + rows).need_rows()


def test_a_change_of_this_very_moment_is_not_in_the_future(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + "7,2026-06-05T14:00:00,open,Jane,smoke,1\n").unreadable == []


def test_bytes_that_are_not_utf8_spoil_their_row_only(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER.encode() + b"8,2026-06-01,open,Jos\xe9,smoke,1\n" + GOOD.encode())
    assert [bad.reason for bad in found.unreadable] == ["not-utf8"]
    assert list(found.rows) == ["7"]


def test_packed_or_not_it_is_the_same_content(tmp_path: Path) -> None:
    plain = read(tmp_path, HEADER + GOOD)
    packed = read(tmp_path, gzip.compress((HEADER + GOOD).encode()), "log.csv.gz")
    assert plain.content == packed.content
    assert plain.rows == packed.rows
    assert read(tmp_path, HEADER + GOOD + GOOD).content != plain.content


def test_a_log_without_a_column_that_the_mapping_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongLog, match="no column Title"):
        read(tmp_path, HEADER.replace("Title", "Heading") + GOOD)


def test_what_is_cut_off_in_the_middle_of_its_packing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongLog, match="cannot be read"):
        read(tmp_path, gzip.compress((HEADER + GOOD).encode())[:-12], "log.csv.gz")


@given(st.binary(max_size=300))
def test_whatever_stands_in_a_file_every_row_is_read_or_listed(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes
) -> None:
    found = read(tmp_path_factory.mktemp("log"), HEADER.encode() + rest.replace(b"\x1f\x8b", b""))
    assert found.changes == sum(len(rows) for rows in found.rows.values()) + len(found.unreadable)


def test_the_example_beside_the_mapping_is_read_by_it_but_for_the_row_that_is_there_to_be_seen() -> None:
    folder = Path(__file__).parents[4] / "examples" / "imports"
    found = log.read(folder / "vinst-sample.csv", mapping.read(folder / "vinst.yaml"), NOW)
    assert (found.changes, len(found.rows)) == (20, 5)
    assert [(bad.line, bad.reason) for bad in found.unreadable] == [(20, "status-unknown")]
