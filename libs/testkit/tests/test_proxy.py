"""The proxy is an ordinary link until it is told otherwise, and each of its faults is felt and counted."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from testkit.chaos.proxy import Proxy
from testkit.eventually import eventually


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy(lambda: server.sockets[0].getsockname()[1])
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, what: bytes) -> bytes:
        self._writer.write(what)
        return await self._reader.readexactly(len(what))

    async def heard(self) -> bytes:
        return await self._reader.read()

    def close(self) -> None:
        self._writer.close()


Connect = Callable[[], Awaitable[Client]]


@pytest_asyncio.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Connect]:
    """Makes clients, and closes them."""
    clients: list[Client] = []

    async def one() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", proxy.port)))
        return clients[-1]

    yield one
    for client in clients:
        client.close()


async def test_a_link_without_a_fault_passes_everything_and_hurts_nobody(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    assert await client.say(b"x" * 200_000) == b"x" * 200_000
    client.close()
    await eventually(lambda: proxy.connections == 0)
    assert proxy.hurt == 0


async def test_a_slow_link_holds_up_both_ways(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    proxy.slow(0.1)
    began = time.monotonic()
    assert await client.say(b"hello") == b"hello"
    assert time.monotonic() - began >= 0.2
    assert proxy.hurt == 2


async def test_a_stalled_link_stays_open_and_goes_on_where_it_stood(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    proxy.stall()
    said = asyncio.create_task(client.say(b"hello"))
    await eventually(lambda: proxy.hurt == 1)
    assert not said.done()
    proxy.heal()
    assert await said == b"hello"


async def test_a_reset_is_felt_at_once_and_a_new_connection_works(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    await client.say(b"hello")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await client.heard()
    assert proxy.hurt == 2
    assert await (await connect()).say(b"again") == b"again"


async def test_nobody_is_there_until_it_heals(proxy: Proxy, connect: Connect) -> None:
    proxy.away()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await (await connect()).say(b"hello")
    assert proxy.hurt == 1
    proxy.heal()
    assert await (await connect()).say(b"hello") == b"hello"


async def test_a_connection_is_cut_in_the_middle_of_the_message_with_the_nth_byte(
    proxy: Proxy, connect: Connect
) -> None:
    client = await connect()
    proxy.cut_after(10)
    assert await client.say(b"123") == b"123"
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.say(b"4567890")
    assert proxy.hurt == 1
    assert await (await connect()).say(b"x" * 100) == b"x" * 100
