"""Waking across processes: a hint that comes at once where it can, and is never the only way."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.wakeup import FACTS, WAKES, Wakeup
from testkit.eventually import eventually


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    return str((await fresh_database()).url)


@pytest_asyncio.fixture
async def pair(url: str) -> AsyncIterator[tuple[Wakeup, Wakeup]]:
    """(who commits, who waits and listens already)"""
    one, other = Wakeup(url), Wakeup(url)
    await other.wait(0.01, FACTS)
    await other.wait(0.01, WAKES)
    yield one, other
    await one.close()
    await other.close()


async def waited(wakeup: Wakeup, seconds: float, what: str = FACTS) -> float:
    started = time.monotonic()
    await wakeup.wait(seconds, what)
    return time.monotonic() - started


async def test_another_process_is_woken_by_a_commit(pair: tuple[Wakeup, Wakeup]) -> None:
    one, other = pair
    waiting = asyncio.create_task(waited(other, 0.45))
    await asyncio.sleep(0)
    one.committed(True, False)
    assert await waiting < 0.4


async def test_facts_wake_the_relay_and_not_the_timers(pair: tuple[Wakeup, Wakeup]) -> None:
    one, other = pair
    facts, wakes = asyncio.create_task(waited(other, 0.45, FACTS)), asyncio.create_task(waited(other, 0.3, WAKES))
    one.committed(True, False)
    assert await wakes >= 0.3
    assert await facts < 0.4


async def test_many_commits_become_few_notifications(url: str, pair: tuple[Wakeup, Wakeup]) -> None:
    heard: list[str] = []
    listener = await asyncpg.connect(url)
    await listener.add_listener("throughline_public", lambda *said: heard.append(said[3]))
    for _ in range(200):
        pair[0].committed(True, True)
    await eventually(lambda: heard)
    await listener.fetchval("SELECT 1")
    assert len(heard) <= 2
    await listener.close()


async def test_who_rings_and_listens_on_one_connection_is_heard_every_time(url: str) -> None:
    heard: list[str] = []
    listener = await asyncpg.connect(url)
    await listener.add_listener("throughline_public", lambda *said: heard.append(said[3]))
    for n in range(1, 11):
        both = Wakeup(url)
        both.committed(True, False)
        await both.wait(0.01, WAKES)
        await eventually(lambda n=n: len(heard) == n)  # type: ignore[misc]
        await both.close()
    await listener.close()


async def test_whoever_waits_looks_again_after_a_second(pair: tuple[Wakeup, Wakeup]) -> None:
    assert 0.95 <= await waited(pair[1], 60) < 5


async def test_without_a_direct_connection_it_polls_ever_slower_until_something_is_found() -> None:
    wakeup = Wakeup(None)
    times = [await waited(wakeup, 60) for _ in range(8)]
    assert times[0] < 0.05
    assert times[-1] >= 0.09
    wakeup.busy()
    assert await waited(wakeup, 60) < 0.05


async def test_a_bell_that_was_cut_off_while_it_connected_is_heard_afterwards(
    url: str, pair: tuple[Wakeup, Wakeup], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, cut_off, reached = pair[0], Wakeup(url), asyncio.Event()

    async def hang(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "fetchval", hang)
        connecting = asyncio.create_task(cut_off.wait(0.01, FACTS))
        await reached.wait()
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    await cut_off.wait(0.01, FACTS)
    waiting = asyncio.create_task(waited(cut_off, 0.45))
    await asyncio.sleep(0)
    one.committed(True, False)
    assert await waiting < 0.4
    await cut_off.close()


async def test_a_listener_whose_connection_was_cut_listens_again(url: str, pair: tuple[Wakeup, Wakeup]) -> None:
    one, other = pair
    admin = await asyncpg.connect(url)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                        "AND datname = current_database()")  # fmt: skip
    await admin.close()
    await eventually(lambda: other._connection is None or other._connection.is_closed())
    await other.wait(0.01, FACTS)
    waiting = asyncio.create_task(waited(other, 0.45))
    await asyncio.sleep(0)
    one.committed(True, False)
    assert await waiting < 0.4
