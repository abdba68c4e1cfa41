"""However a demo or an installation ends, and whenever: no process stays, and no data that nobody wants."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from testkit.eventually import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

COMMAND = (sys.executable, "-c", "from cli.main import run; run()")
MARK = "THROUGHLINE_TEST_MARK"


class Place:
    """A machine of its own as far as files go, and the processes that were started on it."""

    def __init__(self, folder: Path) -> None:
        self.temporary, self.home = folder / "tmp", folder / "home"
        self.temporary.mkdir()
        self.log = folder / "log"
        self._mark = uuid4().hex
        self._commands: list[Process] = []

    async def run(self, *arguments: str, **changed: str) -> Process:
        """Start a command there."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
        own = {"TMPDIR": str(self.temporary), "THROUGHLINE_HOME": str(self.home), MARK: self._mark}
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, *arguments, env={**inherited, **own, **changed}, stdout=log, stderr=log
            )
        self._commands.append(process)
        return process

    async def end(self) -> None:
        """Kill what a test that failed has left running."""
        for process in self._commands:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def said(self) -> str:
        """What the commands have printed."""
        return self.log.read_text()

    def processes(self) -> list[str]:
        """The command lines of what runs there: by the mark, or by a path of its files."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                line = (path / "cmdline").read_bytes()
                words = line + (path / "environ").read_bytes()
            except OSError:
                continue
            if line and any(word.encode() in words for word in (self._mark, str(self.temporary), str(self.home))):
                found.append(f"{path.name} {line[:120]!r}")
        return found

    def nothing_left(self) -> bool:
        """Whether there is neither a process nor a temporary file."""
        left = [*self.processes(), *map(str, self.temporary.iterdir())]
        assert left == []
        return True


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    yield place
    await place.end()


def demo_directory(place: Place) -> Path | None:
    return next(place.temporary.glob("throughline-demo-*"), None)


def starting(place: Place) -> bool:
    found = demo_directory(place)
    return found is not None and (found / "kafka").exists()


def playing(place: Place) -> bool:
    found = demo_directory(place)
    return found is not None and (found / "running.json").exists()


@pytest.mark.parametrize(
    ("how", "moment"),
    [
        (signal.SIGINT, starting),
        (signal.SIGTERM, playing),
        (signal.SIGKILL, starting),
        (signal.SIGKILL, playing),
    ],
)
async def test_a_demo_that_is_interrupted_or_killed_leaves_nothing(
    place: Place, how: signal.Signals, moment: object
) -> None:
    demo = await place.run("demo", "--requests", "500")
    await eventually(lambda: moment(place), within=120)  # type: ignore[operator]
    demo.send_signal(how)
    status = await asyncio.wait_for(demo.wait(), 60)
    assert status == (-signal.SIGKILL if how == signal.SIGKILL else 1)
    await eventually(place.nothing_left, within=60)
    assert "Traceback" not in place.said()


async def test_N2_an_installation_goes_on_where_a_killed_one_stopped(place: Place) -> None:
    up = await place.run("up")
    running = place.home / "running.json"
    await eventually(running.exists, within=120)
    again = await place.run("up")
    assert await asyncio.wait_for(again.wait(), 60) == 1
    assert "already; `throughline down` stops it" in place.said()
    up.kill()
    await up.wait()
    up = await place.run("up")
    await eventually(lambda: "Throughline is up" in place.said().partition("was killed")[2], within=120)
    down = await place.run("down")
    assert await asyncio.wait_for(down.wait(), 60) == 0
    assert await asyncio.wait_for(up.wait(), 60) == 0
    await eventually(place.nothing_left, within=60)
    assert not running.exists()


async def test_two_at_once_in_different_homes_and_a_port_that_was_taken_meanwhile(place: Place) -> None:
    home, other = place.home, place.home.with_name("other")
    ups = [await place.run("up", THROUGHLINE_HOME=str(each)) for each in (home, other)]
    await eventually(lambda: all((each / "running.json").exists() for each in (home, other)), within=180)
    before = json.loads((home / "billing.port").read_text())
    os.kill(before["pid"], signal.SIGKILL)
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await eventually(lambda: bound(taker, before["port"]), within=30, every=0.001)
        address = f"http://127.0.0.1:{before['port']}"
        await eventually(
            lambda: json.loads((home / "running.json").read_text())["services"]["billing"] != address, within=60
        )
    for up in ups:
        up.send_signal(signal.SIGTERM)
    assert [await asyncio.wait_for(up.wait(), 60) for up in ups] == [0, 0]
    await eventually(place.nothing_left, within=60)


def bound(taker: socket.socket, port: int) -> bool:
    """Take the port as soon as it is free."""
    try:
        taker.bind(("127.0.0.1", port))
    except OSError:
        return False
    taker.listen()
    return True


async def test_what_was_kept_is_found_by_other_commands(place: Place) -> None:
    demo = await place.run("demo", "--requests", "5", KEEP="1")
    await eventually(lambda: "export THROUGHLINE_HOME=" in place.said(), within=180)
    found = demo_directory(place)
    assert f"export THROUGHLINE_HOME={found}" in place.said()
    trace = await place.run("trace", "R-000001", THROUGHLINE_HOME=str(found))
    assert await asyncio.wait_for(trace.wait(), 60) == 0
    demo.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(demo.wait(), 60) == 0
    await eventually(place.nothing_left, within=60)
