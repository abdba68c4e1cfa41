"""A toy `billing` on real Kafka, with clients; what it did and what it told is read back."""

import asyncio
import base64
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest_asyncio

from chassis import relay, stream, timers
from chassis.ids import new_id
from chassis.service import Runtime
from chassis.topics import Topics
from contracts import registry
from contracts.billing import RemoveCharge
from contracts.exchange import CommandAccepted, CommandRefused, DeadLetter
from testkit import toyservice
from testkit.eventually import eventually
from testkit.streams import PARTITIONS, Wire, headers, make_topics
from testkit.toy import create
from testkit.toyhearing import BILLING, runtime

TOPICS = ("workflow.requests", "workflow.people", "workflow.asks", "billing.resent", "billing.dead-letters",
          "billing.asks", "billing.accounts")  # fmt: skip
MEGABYTE = 1_000_000
BINARY = bytes(range(256))
COMMANDS = "billing.commands.erp"
STREAM = "workflow.requests"
GOOD = {"line_id": str(uuid4())}
PERSON = {"kind": "person", "id": str(uuid4())}


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    """A database with three clients: `erp` writes, `pos` reads, `import` acts for others."""
    found = str((await fresh_database.template("toy", create)).url)
    await toyservice.register(found, "erp", "tills:write")
    await toyservice.register(found, "pos", "tills:read")
    await toyservice.register(found, "import", "tills:write", may_act_for_others=True)
    return found


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    """The topics that `billing` and its clients have."""
    await make_topics(kafka.bootstrap, prefix, TOPICS, ("billing/erp", "billing/pos", "billing/gone", "billing/import"))
    tills = dataclasses.replace(registry.topic("billing.accounts"), name="toy.tills")
    await Topics(prefix, PARTITIONS, bootstrap_servers=kafka.bootstrap).apply([tills])
    async with Wire(kafka.bootstrap, prefix, compression_type="gzip") as found:
        yield found


@asynccontextmanager
async def billing(url: str, kafka: Any, prefix: str) -> AsyncIterator[Runtime]:
    """Worker, relay and timers of the toy `billing`, drained at the end."""
    roles = {"relay": relay.run, "timers": timers.run, "worker": stream.run}
    processes = [(runtime(BILLING, url, kafka.bootstrap, prefix, name), role) for name, role in roles.items()]
    tasks = [asyncio.create_task(role(process)) for process, role in processes]
    try:
        yield processes[-1][0]
    finally:
        for process, _ in processes:
            process.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for process, _ in processes:
            await process.wakeup.close()
            await process.database.close()


async def command(wire: Wire, till: UUID, *, client: str = "erp", value: Any = GOOD, **other: Any) -> UUID:
    """Send a command that takes one out of a till; returns its id."""
    said = {"id": new_id(), "source": "/elsewhere", **other}
    sequence = said.pop("sequence", None)
    await wire.send(
        f"billing.commands.{client}",
        till,
        orjson.dumps(value),
        headers("", RemoveCharge, till, sequence, **said),  # type: ignore[arg-type]
    )
    return UUID(str(said["id"]))


async def becomes(read: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Return once `read` gives what is wanted."""

    async def probe() -> Any:
        found = await read()
        assert found == wanted
        return True

    await eventually(probe, within=40, every=0.1)


async def tills(process: Runtime) -> dict[UUID, int | None]:
    """What is in each till."""
    return {row["id"]: row["total"] for row in await process.database.read("SELECT id, total FROM tills")}


async def answers(wire: Wire, client: str = "erp") -> dict[UUID, str]:
    """What a client was told of each of its commands: `accepted`, or `refused SLUG`."""
    found = {}
    for record in await wire.read(f"billing.results.{client}"):
        if b'"problem"' in record.value:
            refused = CommandRefused.read(record.value)
            page, _, slug = refused.problem.type.partition("#")
            assert page == "/problems", "the same address as over HTTP"
            found[refused.command_id] = f"refused {slug}"
        else:
            found[CommandAccepted.read(record.value).command_id] = "accepted"
    return found


async def letters(wire: Wire) -> dict[bytes, DeadLetter]:
    """The dead letters that operators are told of, by the original key."""
    found = [DeadLetter.read(record.value) for record in await wire.read("billing.dead-letters")]
    return {base64.b64decode(letter.original_key or ""): letter for letter in found}


async def of(key: Any, found: Awaitable[dict[Any, Any]]) -> Any:
    """One of what is found."""
    return (await found).get(key)


async def length(found: Awaitable[list[Any]]) -> int:
    """How much is found."""
    return len(await found)
