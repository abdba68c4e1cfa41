"""The command answers what it is asked, and the tables of docs/scaling.md are what it answers."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from bench.plan import DOCUMENT, document, main
from bench.planner import report
from bench.planner.assumptions import Assumptions
from bench.planner.figures import read
from bench.planner.roles import roles
from bench.result import RESULTS, ROOT


def test_the_document_says_what_the_program_says() -> None:
    written = DOCUMENT.read_text()
    assert written == document(written, read(RESULTS), Assumptions()), "python -m bench.plan --write makes it anew"


def test_a_stale_document_is_seen_and_its_words_stay(tmp_path: Path) -> None:
    copy = tmp_path / "scaling.md"
    written = DOCUMENT.read_text()
    copy.write_text(re.sub(r"(?m)^\| `worker` pods \|.*$", "| `worker` pods | 1 |", written))
    assert copy.read_text() != written
    assert main(["--write", str(copy)]) == 0
    assert copy.read_text() == written


def test_every_command_in_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"(?m)^    python -m bench\.plan ?(.*?)(?:  #.*)?$", DOCUMENT.read_text())
    assert len(commands) >= 3
    for command in commands:
        if "--write" not in command:
            assert main(command.split()) == 0, command
            assert "what ends first" in capsys.readouterr().out


def test_every_assumption_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assumed = Assumptions()
    given = []
    for one in fields(Assumptions):
        value = getattr(assumed, one.name)
        given += [f"--{one.name.replace('_', '-')}", str(min(value, 0.5) if one.name == "utilisation" else value)]
    assert main(["--requests-per-day", "2e6", "--json", *given]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["requests_per_day"] == 2e6
    assert set(told["assumptions"]) == {one.name for one in fields(Assumptions)}
    assert told["assumptions"]["utilisation"] == 0.5


def test_machines_are_told_the_same_first_ceiling(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    first = min((one for one in told["ceilings"] if one["holds_to"] is not None), key=lambda one: one["holds_to"])
    assert told["first_ceiling"] == first["name"]
    assert told["assumed_results"] == []


def test_a_measured_figure_is_given_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--measured", "relay-per-s=10"]) == 0
    assert json.loads(capsys.readouterr().out)["first_ceiling"].startswith("relay")


@pytest.mark.parametrize("wrong", ["workflow-cook=1", "relay-per-s", "relay-per-s=many", "relay-per-s=0"])
def test_a_figure_nobody_knows_is_refused(wrong: str) -> None:
    with pytest.raises(SystemExit, match="no such figure"):
        main(["--measured", wrong])


@pytest.mark.parametrize("wrong", [["--requests-per-day", "0"], ["--peak-factor", "13"], ["--partitions", "65"]])
def test_what_cannot_be_planned_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(wrong)
    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_without_results_the_answer_says_what_is_assumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(tmp_path)]) == 0
    assert "not measured here, assumed: chain, latency" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.123456, "0.123"), (12.3456, "12.3"), (123.4, "123"), (12_345, "12,300"), (float("inf"), "-")],
)
def test_figures_have_three_digits(value: float, words: str) -> None:
    assert report.short(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (999, "999"), (1e6, "1M"), (2.69e6, "2.6M"), (39.9e6, "39M"), (5e9, "5G"), (float("inf"), "-")],
)
def test_what_holds_is_rounded_down(value: float, words: str) -> None:
    assert report.per_day(value) == words


def test_every_role_has_a_row_that_says_how_it_is_known() -> None:
    figures = read(RESULTS)
    known = list(roles(figures, Assumptions()).values())
    said = report.of_roles(known, figures).splitlines()[2:]
    assert [line.split("`")[1] for line in said] == [role.name for role in known]
    assert all(("not measured" in line) == (" - |" in line or "-sender" in line) for line in said)
    assert {line.split("|")[3].strip() for line in said} - {""}


def test_growth_is_told_by_rows(tmp_path: Path) -> None:
    kept = {"at": {"10": {"submit_cpu_us": 100.0}, "1000": {"submit_cpu_us": 120.0}}}
    (tmp_path / "growth.json").write_text(
        json.dumps(
            {"name": "growth", "commit": "c", "date": "d", "machine": "m", "load_average": {"before": 1, "after": 2},
             "details": kept}
        )
    )  # fmt: skip
    assert "| submit | 100 | 120 | 1.2x |" in report.of_growth(read(tmp_path))


def test_the_document_is_linked() -> None:
    assert "docs/scaling.md" in (ROOT / "README.md").read_text()
    assert "scaling.md" in (ROOT / "docs" / "operations.md").read_text()
