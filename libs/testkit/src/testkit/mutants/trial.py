"""One run of pytest over a selection of tests, and what it says of the code that it ran on."""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LONGEST_TEST = 180
"""Seconds that one test may take, on a busy machine too; nothing is caught by a test that only hangs."""
LONGEST_RUN = 900

_NO_REASON = (
    "Failed: Timeout", "ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "IndentationError",
    "_WrappedBaseException", "hypothesis.errors.Flaky",
)  # fmt: skip
"""How a failure begins that says nothing about what the code does; a hang inside hypothesis is the last two."""


@dataclass(frozen=True)
class Told:
    """What a run said: how many tests there were, which failed and why, and what went wrong otherwise."""

    tests: int
    failed: dict[str, str]
    """Test → the first line of what it said."""
    wrong: str | None
    """Errors of fixtures or of pytest itself, hangs, names that do not exist."""
    seconds: float


def run(root: Path, tests: Sequence[str], scratch: Path, environment: Mapping[str, str], *, stop: bool) -> Told:
    """Run tests of `root`; `stop`: at the first that fails. Random choices are the same in every run."""
    report = scratch / "report.xml"
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0",
        f"--junitxml={report}", "--tb=short", "-o", f"timeout={LONGEST_TEST}", *(["-x"] if stop else []), *tests,
    ]  # fmt: skip
    surrounding = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    own = {"HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "hypothesis"), "THROUGHLINE_TEST_SHRINK": "0", **environment}
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=root, env=surrounding | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=LONGEST_RUN)
        except subprocess.TimeoutExpired:
            process.kill()
            return Told(0, {}, f"did not end within {LONGEST_RUN} s", time.monotonic() - began)
    return _read(report, process.returncode, output, time.monotonic() - began)


def _read(report: Path, status: int, output: str, seconds: float) -> Told:
    if status not in (0, 1) or not report.is_file():
        return Told(0, {}, f"pytest ended with status {status}: {output.strip()[-600:]}", seconds)
    failed: dict[str, str] = {}
    wrong: list[str] = []
    cases = list(xml.parse(report).iter("testcase"))
    for case in cases:
        for kind in case:
            said = f"{case.get('name')}: {_first_line(kind)}"
            if kind.tag == "failure" and not _first_line(kind).startswith(_NO_REASON):
                failed[str(case.get("name"))] = _first_line(kind)
            elif kind.tag in ("failure", "error"):
                wrong.append(said)
    return Told(len(cases), failed, "; ".join(wrong) or None, seconds)


def _first_line(said: xml.Element) -> str:
    lines = (said.get("message") or said.text or "").strip().splitlines()
    return lines[0] if lines else ""
