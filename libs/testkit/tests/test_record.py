"""The record of chaos: runs are entered once, and the page says what the record says."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from testkit.chaos.auditor import INVARIANTS, Violation
from testkit.chaos.catalogue import FAULTS
from testkit.chaos.experiment import Result, Shape
from testkit.chaos.matrix import Run, failed
from testkit.chaos.record import PAGE, RECORD, entered, lines, of_commits, page, run_of, written
from testkit.chaos.record import line as line_of

REPOSITORY = Path(__file__).parents[3]


def told(fault: str = "kafka-kill", **changed: Any) -> Run:
    """A run as a session reports it."""
    fields: dict[str, Any] = {
        "seed": 7, "said": "kill kafka", "proof": "process 1 is now 2", "recovered": 2.0,
        "operations": {"ok": 9, "refused": 0, "unknown": 1}, "submits": [0.1, 0.2], "facts": 40, "duplicates": 1,
        "late": [0.25], "unhindered": [0.125], **changed,
    }  # fmt: skip
    return run_of(Result(fault, **fields), Shape(), "abc1234")


def line(fault: str, record: list[Run]) -> str:
    [found] = [each for each in page(record).splitlines() if f"| `{fault}` |" in each]
    return found


def test_a_report_is_lines_to_which_every_run_adds_one(tmp_path: Path) -> None:
    report = tmp_path / "chaos.jsonl"
    assert lines(report) == lines(None) == []
    report.write_text(line_of(told()) + "\n")
    with report.open("a") as more:
        more.write(line_of(told(seed=8)) + "\n")
    assert lines(report) == [told(), told(seed=8)]


def test_a_report_that_is_entered_again_changes_nothing() -> None:
    record = entered([], [told()])
    assert entered(record, [told()]) == record
    assert entered(record, record) == record
    assert len(entered(record, [told(seed=8)])) == 2


def test_a_run_that_failed_is_not_replaced_by_another_of_its_seed() -> None:
    bad, good = told(violations=[Violation("I8", "gap", "7", "1 then 3")]), told()
    for order in ([bad, good], [good, bad]):
        record = entered(entered([], order[:1]), order[1:])
        assert sorted(failed(run) for run in record) == [False, True]
    assert sorted(failed(run) for run in entered([], [bad, good])) == [False, True]
    assert "- `kafka-kill`, seed 7, at abc1234: I8 gap (1): kill kafka" in page(record)


def test_a_record_that_begins_anew_keeps_what_was_told_of_the_same_commit() -> None:
    other = {**told(), "commit": "def5678"}
    assert of_commits([told(), other], [[told(seed=8)]]) == [told()]


def test_the_page_tells_runs_strikes_recovery_and_repeats_and_what_was_never_run() -> None:
    record = entered([], [told(), told(seed=8, recovered=None, proof="")])
    cells = [cell.strip() for cell in line("kafka-kill", record).strip("|").split("|")]
    assert cells[:6] == ["F4", "`kafka-kill`", "2", "1", "1", "4"]
    assert cells[6:-4] == ["0"] * len(INVARIANTS)
    assert cells[-4:] == ["2.0 / 2.0 / 2.0 s, 1 never; 45.0 s", "2.50%", "0.25 s", "0.12 s"]
    assert "not run" in line("storm", record)
    assert page(record).startswith(
        f"2 runs of 1 of {len(FAULTS)} faults at abc1234: 4 requests accepted, 20 operations"
    )


def test_violations_are_counted_at_their_fault_and_invariant() -> None:
    record = entered(
        [], [told(violations=[Violation("I8", "gap", "7", "1 then 3"), Violation("I8", "gap", "8", "2 then 4")])]
    )
    cells = [cell.strip() for cell in line("kafka-kill", record).strip("|").split("|")]
    assert dict(zip(INVARIANTS, cells[6:-4], strict=True)) == {**dict.fromkeys(INVARIANTS, "0"), "I8": "2"}
    assert "2 violations; failed: 1." in page(record)
    assert [failed(run) for run in record] == [True]


def test_a_skipped_fault_is_no_run_and_says_why() -> None:
    record = entered([], [told("disk-kafka", skipped="no mounts here")])
    assert "not run" in line("disk-kafka", record)
    assert "Skipped: disk-kafka, no mounts here." in page(record)


def test_only_the_tables_of_a_page_are_replaced() -> None:
    text = "before\n<!-- chaos: made by testkit.chaos.record -->\nold\n<!-- chaos ends -->\nafter\n"
    assert written(text, "new\n") == text.replace("old", "new")


@pytest.mark.skipif(not (REPOSITORY / RECORD).exists(), reason="nothing recorded")
def test_the_page_in_the_repository_is_made_of_the_record() -> None:
    text, record = (REPOSITORY / PAGE).read_text(), orjson.loads((REPOSITORY / RECORD).read_bytes())
    assert written(text, page(record)) == text
