"""Faults of servers strike real ones, prove it, and do not claim what did not happen."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from embedded.postgres import Postgres
from embedded.process import Child
from testkit.chaos.operations import Operation, Operations
from testkit.chaos.operators import LongTransaction
from testkit.chaos.servers import STOPS, LongAway, ServerStopped
from testkit.chaos.skewed import ServerSkewed, library
from testkit.eventually import eventually

pytestmark = pytest.mark.servers

TABLES = """
CREATE SCHEMA billing
CREATE TABLE relay_cursor (grp smallint, high bigint, holes bigint[])
CREATE TABLE journal (grp smallint, seq bigint, topic text, recorded_at timestamptz);
INSERT INTO billing.relay_cursor VALUES (0, 10, '{}')
"""

Site = Any


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Postgres]:
    """One that is started again whenever it does not run."""

    async def look_after() -> None:
        while True:
            if not running.running:
                await asyncio.to_thread(running.restart)
            await asyncio.sleep(0.02)

    with Postgres(tmp_path) as running:
        looking = asyncio.create_task(look_after())
        yield running
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@pytest_asyncio.fixture
async def connection(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """With the relay's tables of billing, as far as faults look at them."""
    connection = await asyncpg.connect(server.url())
    await connection.execute(TABLES)
    yield connection
    await connection.close()


async def test_a_stop_is_proved_by_what_the_server_says_of_its_end(server: Postgres) -> None:
    before = server.pid
    stopped, restarted = (ServerStopped("postgres", server, number) for number in STOPS)
    await restarted.strike()
    assert restarted.proof == f"received fast shutdown request; process {before} is now {server.pid}"
    await stopped.strike()
    assert stopped.proof.startswith("received immediate shutdown request")


async def test_a_server_that_was_killed_was_not_stopped(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [ServerStopped("postgres", server, number) for number in (signal.SIGINT, signal.SIGQUIT)]
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda pid, number: kill(pid, signal.SIGKILL))
    for fault in faults:
        await fault.strike()
    assert not any(fault.struck for fault in faults)


async def test_a_stop_in_good_order_that_ends_in_a_recovery_was_none(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STOPS, signal.SIGQUIT, STOPS[signal.SIGINT])
    fault = ServerStopped("postgres", server, signal.SIGQUIT)
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda pid, number: kill(pid, signal.SIGINT))
    await fault.strike()
    assert not fault.struck


@pytest.mark.skipif(library() is None, reason="libfaketime is not installed")
async def test_the_databases_clock_is_wrong_until_it_is_healed(server: Postgres) -> None:
    site: Site = SimpleNamespace(admin_url=server.url())
    fault = ServerSkewed(site, server, "-20s")
    await fault.strike()
    await fault.heal()
    assert fault.proof == "it was -20 s off, and -0 s afterwards"
    right = ServerSkewed(site, server, "+0")
    await right.strike()
    await right.heal()
    assert not right.struck


async def test_a_long_transaction_holds_the_xmin_of_all_while_facts_go_out(
    server: Postgres, connection: asyncpg.Connection
) -> None:
    fault = LongTransaction(SimpleNamespace(admin_url=server.url()), "billing")  # type: ignore[arg-type]
    await fault.strike()
    await connection.execute("UPDATE billing.relay_cursor SET high = 15, holes = ARRAY[14, 15]")
    await fault.heal()
    assert "; 3 facts went out, 0.0 s old at worst" in fault.proof
    assert not await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")


async def test_a_transaction_behind_which_nothing_went_out_or_that_was_ended_proves_nothing(
    server: Postgres, connection: asyncpg.Connection
) -> None:
    site: Site = SimpleNamespace(admin_url=server.url())
    still, ended = LongTransaction(site, "billing"), LongTransaction(site, "billing")
    await still.strike()
    await still.heal()
    await ended.strike()
    await ended._sessions[0].execute("ROLLBACK")
    await connection.execute("UPDATE billing.relay_cursor SET high = 11")
    await ended.heal()
    assert (still.struck, ended.struck) == (False, False)


@pytest.fixture
def stands(tmp_path: Path) -> Iterator[Child]:
    """A process that can be frozen."""
    child = Child([sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "log")
    yield child
    child.kill()


@pytest.mark.parametrize(("via", "struck"), [("http", True), ("topic", False)])
async def test_kafka_was_away_for_long_when_submissions_were_accepted_to_the_end(
    stands: Child, via: Any, struck: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testkit.chaos.servers.AWAY_FOR", 0.4)
    monkeypatch.setattr("testkit.chaos.servers._LAST", 0.2)
    operations = Operations()
    fault = LongAway("kafka", stands, operations)  # type: ignore[arg-type]
    await fault.strike()
    healing = asyncio.create_task(fault.heal())
    while not healing.done():
        operations.add(Operation("submit", "k", via, "ok", 0.1))
        await asyncio.sleep(0.01)
    assert fault.struck == struck
    assert struck == ("for 0 s; " in fault.proof)


async def test_kafka_that_somebody_woke_meanwhile_was_not_away(stands: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testkit.chaos.servers.AWAY_FOR", 0.2)
    monkeypatch.setattr("testkit.chaos.servers._LAST", 0.1)
    operations = Operations()
    fault = LongAway("kafka", stands, operations)  # type: ignore[arg-type]
    await fault.strike()
    stands.resume()
    healing = asyncio.create_task(fault.heal())
    await eventually(lambda: operations.add(Operation("submit", "k", "http", "ok", 0.1)) or healing.done())
    assert not fault.struck
