"""The whole installation as processes: a scenario through the public doors while everything is killed in turn."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis.clock import utc_now
from cli.demo.scenes import play_scenario
from cli.reconcile.report import reconcile, summary
from cli.running.installation import Installation
from contracts.registry import SERVICES
from embedded.process import children
from testkit.eventually import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


@pytest_asyncio.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    installation = Installation(tmp_path / "home", temporary=True)
    try:
        await installation.start(print)
        yield installation
    finally:
        await installation.stop()


async def balanced(installation: Installation) -> dict[str, Any]:
    """The books, once they balance; what is still open when the time is up fails the test by name."""

    async def books() -> dict[str, Any] | None:
        ledger, orphans = await reconcile(installation.bootstrap, installation.prefix, utc_now(), older_than=0)
        assert not orphans, [f"{orphan.slug} {orphan.number} {orphan.cause}" for orphan in orphans[:5]]
        return summary(ledger, orphans)

    return await eventually(books, within=120, every=1.0)


async def restarted(installation: Installation, name: str) -> None:
    """kill -9 of one service, with its relay; it is back within 5 s."""
    process = installation.watch.processes[name]
    child = process.child
    assert child is not None
    for pid in [child.pid, *children(child.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await eventually(lambda: process.child is not child and process.child is not None, within=5)


async def server_restarted(installation: Installation, server: Any) -> None:
    """kill -9 of Kafka or PostgreSQL; the supervisor starts it again on its data."""
    await asyncio.to_thread(server.kill)
    await eventually(lambda: server.running, within=90)


async def test_N2_killing_everything_in_turn_loses_nothing_and_repeats_nothing(installation: Installation) -> None:
    play = asyncio.create_task(play_scenario(installation, requests=60, seed=7))
    await eventually(lambda: play.done() or installation.sink.taken.mails > 0, within=120)
    for name in SERVICES:
        await restarted(installation, name)
    await server_restarted(installation, installation.kafka)
    await server_restarted(installation, installation.postgres)
    played = await play
    assert played.unanswered == []
    found = await balanced(installation)
    assert found["requests"] == 60
    assert found["opened"] == 60
    assert found["invoices"] > 0
    assert installation.watch.restarts().keys() >= set(SERVICES)
    # A mail whose sender died in the middle is unknown and visible, and is never sent again by itself.
    assert installation.sink.taken.repeated == 0
