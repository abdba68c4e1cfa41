"""A whole installation under `throughline up`: looked at by every verb, robbed of a service, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.e2e, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-c", "from cli.main import run; run()"]
UP_WITHIN, DEAD_WITHIN, BACK_WITHIN = 150.0, 30.0, 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installation")


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
    return {**inherited, "THROUGHLINE_HOME": str(home)}


@pytest.fixture(scope="module")
def up(home: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen([*COMMAND, "up"], env=environment, stdout=log, stderr=log)
    try:
        until((home / "running.json").exists, UP_WITHIN, lambda: (home / "up.log").read_text())
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def until(probe: Callable[[], bool], within: float, said: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + within
    while not probe():
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def throughline(up: subprocess.Popen[bytes], environment: dict[str, str]) -> Callable[..., Any]:
    def call(*arguments: str) -> Any:
        return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False)

    return call


def processes(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in words and int(path.name) != os.getpid():
            found.append(path.name)
    return found


def test_the_doctor_finds_it_well(throughline: Callable[..., Any]) -> None:
    def well() -> bool:
        return bool(throughline("doctor", "--json").returncode == 0)

    until(well, BACK_WITHIN, lambda: str(throughline("doctor").stdout))
    found = json.loads(throughline("doctor", "--json").stdout)["findings"]
    assert {"intake", "workflow", "approvals", "billing", "notifications", "kafka", "postgres"} <= {
        each["where"] for each in found
    }


def test_clients_topics_tokens_and_what_waits(throughline: Callable[..., Any]) -> None:
    added = throughline("clients", "add", "erp", "--scope", "requests:write", "--topics", "intake", "--json")
    assert json.loads(added.stdout)["topics"] == ["intake"], added.stderr
    listed = json.loads(throughline("clients", "list", "--json").stdout)
    assert {"service": "billing", "name": "erp"}.items() <= next(
        each for each in listed if each["name"] == "erp" and each["service"] == "billing"
    ).items()
    assert json.loads(throughline("topics", "plan", "--json").stdout) == []
    assert throughline("token", "erp").stdout.count(".") == 2
    assert json.loads(throughline("waiting", "list", "--json").stdout) == []


def test_a_service_asks_for_everything_on_the_streams_it_hears_and_for_no_other(
    throughline: Callable[..., Any],
) -> None:
    asked = throughline("topics", "bootstrap", "billing", "--json")
    assert json.loads(asked.stdout) == {"service": "billing", "streams": ["workflow.requests"]}, asked.stderr
    refused = throughline("topics", "bootstrap", "billing", "--stream", "intake.requests")
    assert refused.returncode == 1
    assert refused.stderr.startswith("throughline: 422 invalid")


def test_an_error_is_one_plain_line(throughline: Callable[..., Any]) -> None:
    failed = throughline("trace", "R-999999")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "throughline: no request has the number R-999999\n"


def test_a_service_that_is_killed_comes_back_on_its_address(home: Path, throughline: Callable[..., Any]) -> None:
    before = json.loads((home / "billing.port").read_text())
    os.kill(before["pid"], signal.SIGKILL)

    def back() -> bool:
        try:
            now = json.loads((home / "billing.port").read_text())
        except (OSError, ValueError):
            return False
        return bool(now["pid"] != before["pid"] and now["port"] == before["port"])

    until(back, BACK_WITHIN)


def test_killing_the_supervisor_leaves_no_process(up: subprocess.Popen[bytes], home: Path) -> None:
    assert len(processes(home)) > 5
    up.kill()
    up.wait()
    until(lambda: processes(home) == [], DEAD_WITHIN, lambda: str(processes(home)))
