"""Children end with the process that asked for them, however it ends, and take their data with them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedded.errors import NotStarted
from embedded.process import Child, children

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]

PARENT = """
import sys, time
from pathlib import Path
from embedded.process import Child
child = Child({command!r}, log=Path({log!r}), remove=Path({remove!r}), grace=5)
print(child.pid, flush=True)
{then}
"""


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it may go while it is read
        return False


def gone(pid: int, within: float = 30.0) -> bool:
    deadline = time.monotonic() + within
    while runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def parent(tmp_path: Path, then: str, command: list[str] | None = None) -> tuple["subprocess.Popen[str]", int, Path]:
    data = tmp_path / "data"
    data.mkdir()
    source = PARENT.format(command=command or SLEEPER, log=str(tmp_path / "log"), remove=str(data), then=then)
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        return process, int(process.stdout.readline()), data


def test_a_killed_parent_leaves_no_child_and_no_data(tmp_path: Path) -> None:
    process, child, data = parent(tmp_path, "time.sleep(600)")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(child)
    deadline = time.monotonic() + 30
    while data.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not data.exists()


def test_a_parent_that_forgets_to_stop_leaves_no_child(tmp_path: Path) -> None:
    process, child, _ = parent(tmp_path, "raise SystemExit(0)")
    assert process.wait() == 0
    assert gone(child)


def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )
    child = Child([sys.executable, "-c", deaf], log=tmp_path / "log", grace=0.2)
    child.wait_until(lambda: "here" in child.tail(), within=60, name="the deaf one")
    child.stop()
    assert gone(child.pid)


def test_a_killed_guard_takes_the_child_along(tmp_path: Path) -> None:
    child = Child(SLEEPER, log=tmp_path / "log")
    os.kill(child._guard.pid, signal.SIGKILL)
    assert gone(child.pid)
    child.stop()


def test_kill_takes_the_childs_own_children_along(tmp_path: Path) -> None:
    family = "import os, time; os.fork(); time.sleep(600)"
    child = Child([sys.executable, "-c", family], log=tmp_path / "log")
    child.wait_until(lambda: bool(children(child.pid)), within=60, name="the family")
    [grandchild] = children(child.pid)
    child.kill()
    assert gone(child.pid)
    assert gone(grandchild)


def test_an_early_end_is_told_with_the_last_lines_it_printed(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "raise SystemExit('no disk left')"], log=tmp_path / "log")
    with pytest.raises(NotStarted, match=r"(?s)thing ended while starting \(status 1\).*no disk left"):
        child.wait_until(lambda: False, within=60, name="thing")
    child.stop()


def test_being_late_is_told_and_the_child_is_ended(tmp_path: Path) -> None:
    child = Child(SLEEPER, log=tmp_path / "log")
    with pytest.raises(NotStarted, match="thing was not ready within 0 s"):
        child.wait_until(lambda: False, within=0.1, name="thing")
    assert gone(child.pid)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    child = Child(["/nowhere/server"], log=tmp_path / "log")
    with pytest.raises(NotStarted, match="No such file"):
        child.finish(within=60, name="server")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can stop being root")
def test_an_unprivileged_child_is_not_root_and_owns_its_directory(tmp_path: Path) -> None:
    probe = "import os, sys; open(sys.argv[1] + '/mine', 'w').close(); raise SystemExit(os.geteuid() == 0)"
    child = Child([sys.executable, "-c", probe, str(tmp_path)], log=tmp_path / "log", unprivileged=tmp_path)
    child.finish(within=60, name="probe")
    assert (tmp_path / "mine").exists()
