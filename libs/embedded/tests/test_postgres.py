"""PostgreSQL of its own: kept data, crashes, and how it is reached."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from embedded import NotStarted, Postgres
from embedded.ports import answers
from testkit import eventually

pytestmark = pytest.mark.servers


async def run(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_a_killed_server_comes_back_with_all_that_was_committed(tmp_path: Path) -> None:
    with Postgres(tmp_path) as server:
        port = server.port
        await run(server.url(), "CREATE TABLE kept (id int)")
        lost = await asyncpg.connect(server.url())
        await lost.execute("INSERT INTO kept VALUES (1)")
        server.kill()
        assert not server.running
        assert not answers(port)
        server.start()
        assert server.port == port
        assert await run(server.url(), "SELECT count(*) FROM kept") == 1
        lost.terminate()


async def test_a_server_that_somebody_killed_is_started_again_though_a_backend_works_on(tmp_path: Path) -> None:
    with Postgres(tmp_path) as server:
        busy = await asyncpg.connect(server.url())
        backend = await busy.fetchval("SELECT pg_backend_pid()")
        working = asyncio.ensure_future(busy.execute("SELECT count(*) FROM generate_series(1, 1000000000000)"))
        await eventually(lambda: cpu_ticks(backend) > 10)
        assert server._child is not None
        os.kill(server._child.pid, signal.SIGKILL)
        await eventually(lambda: not server.running)
        server.restart()
        assert await run(server.url(), "SELECT 1") == 1
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await working


def cpu_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


async def test_data_and_password_outlive_the_object(tmp_path: Path) -> None:
    with Postgres(tmp_path) as server:
        await run(server.url(), "CREATE TABLE kept (id int)")
        password = server.password
    with Postgres(tmp_path) as again:
        assert again.password == password
        assert await run(again.url(), "SELECT count(*) FROM kept") == 0


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    with Postgres(tmp_path) as server, pytest.raises(asyncpg.InvalidPasswordError):
        await run(server.url(password="guessed"), "SELECT 1")


def test_temporary_data_goes_with_the_server() -> None:
    with Postgres() as server:
        directory = server.directory
        assert directory.exists()
    assert not directory.exists()


def test_a_taken_port_that_was_asked_for_is_told(tmp_path: Path) -> None:
    with Postgres(tmp_path / "one") as one, pytest.raises(NotStarted, match="already in use"):
        Postgres(tmp_path / "two", port=one.port).start()


def test_a_free_port_that_is_taken_meanwhile_is_left_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Postgres(tmp_path / "one") as one:
        offered = iter([one.port, one.port + 1 if not answers(one.port + 1) else one.port + 2])
        monkeypatch.setattr("embedded.postgres.free_port", lambda: next(offered))
        with Postgres(tmp_path / "two") as two:
            assert two.port != one.port
