"""Forked processes: as good as new ones, and never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.running.forked import Forked, ForkServer
from testkit.eventually import eventually

# Their server imports every service, which takes a second or two.
pytestmark = pytest.mark.servers

PROBE = """
import os, sys, threading, time
print(sys.argv[1:], os.environ.get("COLOUR"), os.environ.get("HOME"), threading.active_count(), flush=True)
print(os.read(0, 1), [name for name in ("intake.main", "billing.main") if name in sys.modules], __name__, flush=True)
if sys.argv[1] == "sleep":
    time.sleep(600)
raise SystemExit(int(sys.argv[1]))
"""
SUPERVISOR = """
import sys, time
from pathlib import Path
from cli.running.forked import ForkServer
place = Path(sys.argv[1])
server = ForkServer(place, remove=place)
server.start()
print(server.fork("probe", ["sleep"], {}, place / "log").pid, server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def server(probe: None, tmp_path: Path) -> Iterator[ForkServer]:
    server = ForkServer(tmp_path, remove=None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def fork(server: ForkServer, tmp_path: Path) -> Callable[[str], Forked]:
    return lambda word: server.fork("probe", [word, "x"], {"COLOUR": "red"}, tmp_path / "log")


def gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True


async def test_a_forked_process_is_as_python_would_have_started_it_with_the_services_imported(
    fork: Callable[[str], Forked],
) -> None:
    forked = fork("7")
    await eventually(lambda: forked.returncode is not None, within=60)
    assert forked.returncode == 7
    assert forked.tail().splitlines() == [
        "['7', 'x'] red None 1",
        "b'' ['intake.main', 'billing.main'] __main__",
    ]


async def test_a_killed_process_is_told_with_its_signal_and_its_neighbours_go_on(fork: Callable[[str], Forked]) -> None:
    killed, neighbour = fork("sleep"), fork("sleep")
    os.kill(killed.pid, signal.SIGKILL)
    await eventually(lambda: killed.returncode is not None, within=30)
    assert killed.returncode == -signal.SIGKILL
    assert neighbour.returncode is None
    neighbour.stop()
    assert neighbour.returncode == -signal.SIGTERM


async def test_a_killed_server_takes_its_processes_along_and_the_next_fork_has_a_new_one(
    server: ForkServer, fork: Callable[[str], Forked]
) -> None:
    before, forked = server.pid, fork("sleep")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: forked.returncode is not None, within=30)
    await eventually(lambda: gone(forked.pid), within=30)
    again = fork("sleep")
    assert server.pid not in (None, before)
    assert again.returncode is None


async def test_a_server_that_is_stopped_ends_what_still_runs(server: ForkServer, fork: Callable[[str], Forked]) -> None:
    forked = fork("sleep")
    server.stop()
    assert gone(forked.pid)
    assert server.pid is None


def test_the_directory_of_a_server_that_is_stopped_stays(tmp_path: Path) -> None:
    server = ForkServer(tmp_path, remove=tmp_path)
    server.start()
    server.stop()
    assert (tmp_path / "forkserver.log").is_file()


async def test_a_killed_supervisor_leaves_no_process_and_no_data(probe: None, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(place), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pids = [int(word) for word in (await process.stdout.readline()).split()]
    process.kill()
    await process.wait()
    await eventually(lambda: all(gone(pid) for pid in pids), within=60)
    assert not place.exists()
