"""Faults of processes strike real ones, prove it, and do not claim what did not happen."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from cli.running.forked import ForkServer
from cli.running.services import Process, Watch
from contracts.registry import SERVICES
from testkit.chaos import skewed
from testkit.chaos.faults import Both, Frozen, Killed, Restarted, child_of, ready, state_of
from testkit.chaos.operators import Scaled
from testkit.chaos.overtaking import ZombieWorker
from testkit.chaos.places import AtFailpoint, PausedAt
from testkit.chaos.site import Addresses
from testkit.chaos.skewed import Skewed, library
from testkit.eventually import eventually

# The fork server imports every service, which takes a second or two.
pytestmark = pytest.mark.servers

WORKER = """
import http.server, json, os, pathlib, signal, sys, threading

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

def leave(*_):
    os._exit(int(os.environ.get("LEAVES_WITH", "0")))

signal.signal(signal.SIGTERM, leave)
server = http.server.HTTPServer(("127.0.0.1", 0), Ready)
if os.environ.get("THROUGHLINE_FAILPOINTS", "").startswith("relay.sent"):
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
if os.environ.get("THROUGHLINE_FAILPOINTS", "").startswith("commit.after=pause"):
    print('{"event": "failpoint_reached"}', flush=True)
pathlib.Path(sys.argv[sys.argv.index("--port-file") + 1]).write_text(json.dumps({"port": server.server_port}))
server.serve_forever()
"""

Site = Any


@pytest_asyncio.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Two supervised processes, `one-worker` and `two-worker`; the second drains badly."""
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    forks = ForkServer(tmp_path, remove=None)
    forks.start()
    watch = Watch(forks)
    for name, status in (("one-worker", "0"), ("two-worker", "3")):
        watch.add(Process(name, "worker", "worker", {"LEAVES_WITH": status}, tmp_path))
    await watch.ready()
    watch.begin()
    yield SimpleNamespace(watch=watch)
    await watch.stop()
    forks.stop()


def pid(site: Site, name: str) -> int:
    return int(site.watch.processes[name].child.pid)


async def test_a_killed_process_is_proved_by_its_status_and_started_again(site: Site) -> None:
    before = pid(site, "one-worker")
    fault = Killed(site, ["one-worker", "two-worker"])
    assert not fault.struck
    await fault.strike()
    assert str(before) in fault.proof
    assert pid(site, "one-worker") != before


async def test_a_rolling_restart_is_none_when_one_does_not_drain(site: Site) -> None:
    good, bad = Restarted(site, ["one-worker"]), Restarted(site, ["one-worker", "two-worker"])
    await good.strike()
    await bad.strike()
    assert (good.struck, bad.struck) == (True, False)


async def test_a_frozen_process_stands_still_until_it_is_healed(site: Site) -> None:
    stopped = pid(site, "one-worker")
    fault = Frozen(site, ["one-worker"])
    await fault.strike()
    assert state_of(stopped) == "T"
    await fault.heal()
    assert fault.struck
    await eventually(lambda: state_of(stopped) in ("S", "R"))


async def test_a_process_that_somebody_woke_meanwhile_was_not_frozen(site: Site) -> None:
    fault = Frozen(site, ["one-worker"])
    await fault.strike()
    os.kill(pid(site, "one-worker"), signal.SIGCONT)
    await eventually(lambda: state_of(pid(site, "one-worker")) != "T")
    await fault.heal()
    assert not fault.struck


async def test_a_process_dies_at_its_failpoint_after_every_restart_until_it_is_healed(site: Site) -> None:
    fault = AtFailpoint(site, "one-worker", "relay.sent", 1)
    await fault.strike()
    await eventually(lambda: fault.deaths >= 2, within=30)
    await fault.heal()
    assert fault.struck
    assert "THROUGHLINE_FAILPOINTS" not in site.watch.processes["one-worker"].environment
    await eventually(site.watch.processes["one-worker"].ready, within=30)


async def test_a_failpoint_that_is_never_reached_proves_nothing(site: Site) -> None:
    fault = AtFailpoint(site, "one-worker", "agenda.swept", 1)
    await fault.strike()
    await asyncio.sleep(0)
    await fault.heal()
    assert not fault.struck


async def test_a_pause_is_proved_by_what_the_process_says_since_it_was_armed(site: Site) -> None:
    reached = PausedAt(site, "one-worker", "commit.after", 2.0, 1)
    await reached.strike()
    struck = time.monotonic()
    await ready(site.watch.processes["one-worker"])
    await reached.heal()
    assert reached.struck
    assert time.monotonic() - struck >= 2.0, "it is over before the process goes on"
    never = PausedAt(site, "one-worker", "commit.before", 1.0, 1)
    await never.strike()
    await ready(site.watch.processes["one-worker"])
    await never.heal()
    assert not never.struck


async def test_two_faults_at_once_have_struck_when_both_have(site: Site) -> None:
    both = Both(Killed(site, ["one-worker"]), Frozen(site, ["two-worker"]))
    await both.strike()
    assert not both.struck
    await both.heal()
    assert both.struck
    half = Both(Killed(site, ["one-worker"]), Restarted(site, ["two-worker"]))
    await half.strike()
    await half.heal()
    assert not half.struck


async def test_workers_that_joined_have_left_again(site: Site) -> None:
    counts = iter([1, 2, 3])

    async def count(_: Site, service: str) -> int:
        return next(counts)

    fault = Scaled(site, "one", 3, count)
    await fault.strike()
    await fault.heal()
    assert fault.struck
    assert next(counts, None) is None  # it struck no sooner than the group had all of them
    assert set(site.watch.processes) == {"one-worker", "two-worker"}


A, B = TopicPartition("facts", 0), TopicPartition("facts", 1)


def shared(*answers: dict[str, set[TopicPartition]]) -> Any:
    """What a coordinator says one time after the other; the last goes for ever."""
    left = list(answers)

    async def ask(_: Site, service: str) -> dict[str, set[TopicPartition]]:
        return left.pop(0) if len(left) > 1 else left[0]

    return ask


BOTH = {"first": {A}, "second": {B}}


async def test_a_worker_is_a_zombie_when_the_other_has_its_partitions_and_it_comes_back(site: Site) -> None:
    group = shared({"first": {A}}, BOTH, BOTH, {"second": set()}, {"second": {A, B}}, {"second": {A, B}}, BOTH)
    fault = ZombieWorker(site, "one", "commit.after", 1, group)
    await fault.strike()
    first = pid(site, "one-worker")
    assert state_of(first) == "T"
    healing = asyncio.create_task(fault.heal())
    await eventually(lambda: state_of(first) != "T")
    with site.watch.processes["one-worker"].log.open("a") as log:
        log.write('{"error": "CommitFailedError()"}\n{"error": "TimeoutError()"}\n')
    await healing
    assert fault.proof == f"1 partitions moved while {first} stood still; it lived on, offsets refused 1x"
    assert state_of(first) != "T"
    assert "THROUGHLINE_FAILPOINTS" not in site.watch.processes["one-worker"].environment
    assert child_of(fault._second).returncode == 0


@pytest.mark.parametrize("last", [BOTH, {"second": {B}}, {"other": {A, B}, "second": {B}}])
async def test_a_worker_that_nobody_overtakes_is_no_zombie(
    site: Site, last: dict[str, set[TopicPartition]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testkit.chaos.overtaking._TAKEN_WITHIN", 0.1)
    fault = ZombieWorker(site, "one", "commit.after", 1, shared(BOTH, last))
    with pytest.raises(AssertionError):
        await fault.strike()
    await fault.heal()
    assert not fault.struck
    assert state_of(pid(site, "one-worker")) != "T"
    assert child_of(fault._second).returncode == 0


@pytest.mark.skipif(library() is None, reason="libfaketime is not installed")
async def test_a_wrong_clock_is_proved_by_what_the_process_says_and_gone_when_it_is_healed(site: Site) -> None:
    process = site.watch.processes["one-worker"]
    fault = Skewed(site, "one-worker", "behind")
    await fault.strike()
    await fault.heal()
    said = re.fullmatch(r"it was (\d+) s off", fault.proof or "")
    assert said is not None
    assert abs(int(said[1]) - 3600) < skewed._WRONG_BY
    await eventually(process.ready, within=30)
    right = Skewed(site, "one-worker", "behind")
    right._skew = "+0"
    await right.strike()
    await right.heal(within=1.0)
    assert not right.struck
    assert process.wanted


async def test_a_door_that_moved_is_found_where_it_is_now(site: Site) -> None:
    process = site.watch.processes["one-worker"]
    addresses = Addresses({"intake": process})
    assert addresses["intake"] == process.address
    process.port += 1
    assert addresses["intake"] == process.address
    assert list(addresses) == list(SERVICES)
    assert len(addresses) == len(SERVICES)


FULL = """
import pathlib, sys
from testkit.chaos import mounts

disk = pathlib.Path(sys.argv[1])
why = mounts.apart()
if why:
    print(f"skipped: {why}")
    sys.exit()
mounts.mount(disk)
(disk / "before").write_bytes(b"x" * 1_000_000)
mounts.fill(disk)
try:
    (disk / "more").write_bytes(b"x" * 1_000_000)
except OSError as error:
    print(error.strerror)
mounts.resize(disk, mounts.ROOM)
(disk / "more").write_bytes(b"x" * 1_000_000)
print(len((disk / "before").read_bytes()))
"""


def test_a_disk_is_full_until_it_is_given_room_and_nobody_else_sees_it(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "disk")], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    if told.startswith("skipped"):
        pytest.skip(told.strip())
    assert told.splitlines() == ["No space left on device", "1000000"]
    assert list((tmp_path / "disk").iterdir()) == []
