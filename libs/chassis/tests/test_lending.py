"""Connections lent to one read at a time: never more than allowed, none that is broken, none that is in a statement."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis import lending
from chassis.lending import Lent
from testkit.eventually import eventually

pytestmark = pytest.mark.servers
SIZE = 2
WHO = "SELECT pg_backend_pid()"
_SLOW = "SELECT pg_sleep(0.5)"


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    async def nothing(_: str) -> None: ...

    found: str = (await fresh_database.template("lending", nothing)).url
    return found


@pytest_asyncio.fixture
async def lent(url: str) -> AsyncIterator[Lent]:
    found = Lent(lambda: asyncpg.connect(url), SIZE)
    yield found
    await found.close()


async def who(lent: Lent) -> int:
    return int((await lent.fetch(WHO))[0][0])


async def test_reads_one_after_the_other_share_a_connection(lent: Lent) -> None:
    assert len({await who(lent) for _ in range(5)}) == 1


async def test_more_reads_at_once_than_connections_wait_for_their_turn(lent: Lent) -> None:
    rows = await asyncio.gather(*(lent.fetch("SELECT pg_backend_pid() FROM pg_sleep(0.05)") for _ in range(6)))
    assert len({found[0][0] for found in rows}) == SIZE


async def test_a_connection_that_has_ended_is_not_lent_again(lent: Lent, url: str) -> None:
    first = await who(lent)
    other = await asyncpg.connect(url)
    await other.execute("SELECT pg_terminate_backend($1, 5000)", first)
    await other.close()
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await who(lent)  # whether the end is seen before this read is chance
    assert await who(lent) != first


async def test_a_read_that_is_cancelled_takes_its_connection_with_it(lent: Lent) -> None:
    first = await who(lent)
    reading = asyncio.create_task(lent.fetch("SELECT pg_sleep(30)"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reading, 0.1)
    assert await who(lent) != first
    assert len(await asyncio.gather(*(who(lent) for _ in range(SIZE * 2)))) == SIZE * 2


@pytest.mark.parametrize(("sql", "arguments"), [("SELECT 1 / 0", ()), ("SELECT $1::int", ("no number",))])
async def test_a_refused_statement_leaves_its_connection_as_it_was(
    lent: Lent, sql: str, arguments: tuple[Any, ...]
) -> None:
    first = await who(lent)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await lent.fetch(sql, *arguments)
    assert await who(lent) == first


async def test_a_connection_that_was_idle_for_long_is_not_lent_again(
    lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await who(lent)
    monkeypatch.setattr(lending, "_IDLE_SECONDS", 0.0)
    assert await who(lent) != first


async def test_a_connection_that_nobody_needs_any_more_ends_while_others_are_in_use(
    lent: Lent, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one_left() -> bool:
        await who(lent)
        return await _sessions(url, WHO, many) == 1

    many = "SELECT pg_backend_pid() FROM pg_sleep(0.05)"
    await asyncio.gather(*(lent.fetch(many) for _ in range(SIZE)))
    assert await _sessions(url, many) == SIZE
    monkeypatch.setattr(lending, "_IDLE_SECONDS", 0.5)
    await eventually(one_left)


async def test_what_is_lent_when_all_is_closed_is_closed_when_it_comes_back(lent: Lent, url: str) -> None:
    async def busy() -> bool:
        return await _sessions(url, _SLOW) == 1

    async def gone() -> bool:
        return await _sessions(url, _SLOW) == 0

    reading = asyncio.create_task(lent.fetch(_SLOW))
    await eventually(busy)
    await lent.close()
    await reading
    await eventually(gone)


async def _sessions(url: str, *queries: str) -> int:
    """Sessions whose last statement is one of these."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query = ANY($1)", queries))
    finally:
        await connection.close()
