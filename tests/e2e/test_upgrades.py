"""A release exchanged for its neighbour and back, service by service, while everybody works."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def test_two_releases_are_exchanged_back_and_forth_under_load_and_nothing_is_lost_or_done_twice() -> None:
    """A fact gains a version, another one a field, a table a column; which service comes first does not matter.

    The same with `--unprepared` fails: the older release does not read the new version, and it waits.
    """
    done = subprocess.run(
        [sys.executable, "-m", "testkit.upgrade", "--root", str(ROOT)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout
