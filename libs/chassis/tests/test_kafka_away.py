"""Kafka leaves after the start and returns: worker and relay say so, and go on where they were."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis import relay, stream
from chassis.service import Runtime
from contracts import workflow
from embedded.kafka import Kafka
from testkit.eventually import eventually
from testkit.streams import Wire, make_topics
from testkit.toy import create
from testkit.toyhearing import BILLING, runtime

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

TOPICS = ("workflow.requests", "workflow.people", "workflow.asks", "billing.resent", "billing.dead-letters",
          "billing.asks", "billing.accounts")  # fmt: skip
ROLES = {"worker": stream.run, "relay": relay.run}


@asynccontextmanager
async def at_work(url: str, bootstrap: str) -> AsyncIterator[dict[str, Runtime]]:
    """Worker and relay as `app` runs them: started again when Kafka is away; drained at the end."""
    processes = {role: runtime(BILLING, url, bootstrap, "away", role) for role in ROLES}
    tasks = [asyncio.create_task(ROLES[role](process)) for role, process in processes.items()]
    for process in processes.values():
        process.health.started = True
    try:
        yield processes
    finally:
        for process in processes.values():
            process.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        for process in processes.values():
            await process.wakeup.close()
            await process.database.close()


async def become(processes: dict[str, Runtime], *, ready: bool) -> None:
    """Every process says so on /readyz, and that it is for Kafka when it is not ready."""

    async def said() -> bool:
        found = {role: (await process.health.ready()).get("kafka", "not begun") for role, process in processes.items()}
        assert all((why is None) == ready for why in found.values()), found
        return True

    await eventually(said, within=60, every=0.2)


async def totals(process: Runtime) -> dict[UUID, int]:
    return {row["id"]: row["total"] for row in await process.database.read("SELECT id, total FROM tills")}


async def test_worker_and_relay_are_ready_only_while_a_broker_answers(fresh_database: Any) -> None:
    url = str((await fresh_database.template("toy", create)).url)
    till = uuid4()
    with Kafka() as kafka:
        await make_topics(kafka.bootstrap, "away", TOPICS)
        async with at_work(url, kafka.bootstrap) as processes:
            await become(processes, ready=True)
            kafka.pause()
            await become(processes, ready=False)
            kafka.resume()
            await become(processes, ready=True)
            kafka.kill()
            await become(processes, ready=False)
            kafka.start()
            await become(processes, ready=True)
            async with Wire(kafka.bootstrap, "away") as wire:
                await wire.tell(till, 1, workflow.NoteAdded(note_id=uuid4(), note_no=4))

                async def heard() -> bool:
                    return await totals(processes["worker"]) == {till: 4}

                await eventually(heard, within=60)
