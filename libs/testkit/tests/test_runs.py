"""Whole test runs: servers are shared by all workers, started only when asked for, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from testkit.plugin import PostgresServer

USES_POSTGRES = """
import os, time
import pytest

@pytest.mark.parametrize("n", range(4))
def test_url(postgres, n):
    with open("seen", "a") as file:
        file.write(f"{os.getpid()} {postgres.url}\\n")
    time.sleep(0.2)
"""
USES_NOTHING = "def test_nothing(): assert True"
USES_A_DATABASE = "async def test_database(fresh_database): open('seen', 'w').write((await fresh_database()).url)"
HANGS = "import time\ndef test_hangs(postgres):\n    open('seen', 'w').write(postgres.url)\n    time.sleep(600)"


pytestmark = pytest.mark.servers  # some need none, but a whole run each is too slow for the quick ones


def command(folder: Path, source: str, *arguments: str) -> list[str]:
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nmarkers = servers"
    )
    plugins = [word for name in ("xdist.plugin", "pytest_asyncio.plugin", "testkit.plugin") for word in ("-p", name)]
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, *arguments]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Servers' data goes below `folder`, so that what is left of it can be seen."""
    (folder / "tmp").mkdir(exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    return inherited | {"TMPDIR": str(folder / "tmp"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | more


def run(folder: Path, source: str, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(folder, source, *arguments),
        cwd=folder,
        env=environment(folder, **env),
        capture_output=True,
        text=True,
        timeout=110,
    )


def left_behind(folder: Path) -> list[str]:
    """Servers' directories that a run has left, once it had time to clear them away."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        left = [path.name for path in (folder / "tmp").iterdir() if path.name.startswith("throughline-")]
        if not left:
            break
        time.sleep(0.05)
    return left


def test_workers_share_one_server_which_ends_with_the_run(tmp_path: Path) -> None:
    told = run(tmp_path, USES_POSTGRES, "-n", "2", "--dist", "load")
    assert "4 passed" in told.stdout, told.stdout + told.stderr
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert len({url for _, url in seen}) == 1
    assert len({pid for pid, _ in seen}) == 2
    assert left_behind(tmp_path) == []


def test_a_killed_run_leaves_no_server_and_no_data(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path, HANGS, "-n", "1"), cwd=tmp_path, env=environment(tmp_path)) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "seen").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        [data] = [path for path in (tmp_path / "tmp").iterdir() if "postgres" in path.name]
        server = int((data / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(process.pid, signal.SIGKILL)
    assert left_behind(tmp_path) == []
    assert not Path(f"/proc/{server}").exists()


def test_a_run_that_asks_for_no_server_starts_none(tmp_path: Path) -> None:
    told = run(tmp_path, USES_NOTHING, XDG_CACHE_HOME=str(tmp_path / "cache"), THROUGHLINE_JAVA="/nowhere")
    assert "1 passed" in told.stdout, told.stdout + told.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


def test_asking_for_a_server_marks_the_test(tmp_path: Path) -> None:
    told = run(tmp_path, USES_POSTGRES + USES_NOTHING, "-m", "not servers")
    assert "1 passed, 4 deselected" in told.stdout, told.stdout + told.stderr


async def test_given_servers_are_used_and_left_clean(tmp_path: Path, postgres: PostgresServer) -> None:
    told = run(tmp_path, USES_A_DATABASE, DATABASE_URL=postgres.url, KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert "1 passed" in told.stdout, told.stdout + told.stderr
    url = (tmp_path / "seen").read_text()
    assert url.rpartition("/")[0] == postgres.url.rpartition("/")[0]
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


def test_a_server_that_cannot_start_fails_its_tests_with_the_reason(tmp_path: Path) -> None:
    source = "def test_a(kafka): pass\ndef test_b(kafka): pass"
    told = run(tmp_path, source, "-n", "2", THROUGHLINE_JAVA="/nowhere/java")
    assert "2 errors" in told.stdout, told.stdout + told.stderr
    assert "THROUGHLINE_JAVA names /nowhere/java" in told.stdout


def test_containers_are_left_for_embedded_servers_when_no_engine_answers(tmp_path: Path) -> None:
    source = "from testkit.backends import choose\ndef test_choice(): assert choose().name == 'embedded'"
    told = run(tmp_path, source, THROUGHLINE_TEST_BACKEND="containers", DOCKER_HOST=f"unix://{tmp_path}/no-engine.sock")
    assert "1 passed" in told.stdout, told.stdout + told.stderr
