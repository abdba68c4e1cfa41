"""A load generator does not outlive whoever asked for it."""

import asyncio
import os
import socket

import pytest
from bench.load import Plan, run

from embedded.process import children


@pytest.mark.servers  # a process of its own is too slow for the quick tests
async def test_a_load_that_is_cancelled_ends_its_process() -> None:
    before = set(children(os.getpid()))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        port = silent.getsockname()[1]
        load = asyncio.create_task(run(Plan("127.0.0.1", port, "/", [""], ["-"], "k", 60.0, 1, method="GET")))
        asked, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(silent), 30)
        (child,) = set(children(os.getpid())) - before
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        assert child not in children(os.getpid())
        asked.close()
