"""Facts from one service to another, whole: told, relayed, heard; gaps mended from the journal; commands answered."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from chassis import asking, relay, stream, timers
from chassis.holes import Cursor, saved
from chassis.ids import new_id
from chassis.lease import Lease
from chassis.publishing import Publisher
from chassis.resend import Answers
from chassis.service import Runtime, Service
from contracts.billing import RemoveCharge
from contracts.exchange import CommandAccepted, CommandRefused, ResendAsked
from testkit import toyservice
from testkit.eventually import eventually
from testkit.scraping import measured
from testkit.streams import PARTITIONS, Wire, body, headers, make_topics
from testkit.toy import Add, asked, create
from testkit.toyhearing import BILLING, WORKFLOW, runtime

TOPICS = (
    "workflow.requests", "workflow.people", "workflow.asks", "workflow.resent", "billing.resent",
    "billing.dead-letters", "billing.asks",
)  # fmt: skip
ROLES = {"worker": stream.run, "relay": relay.run, "timers": timers.run}


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, TOPICS, ("billing/erp",))
    async with Wire(kafka.bootstrap, prefix) as found:
        yield found


@pytest_asyncio.fixture
async def urls(fresh_database: Any) -> dict[str, str]:
    return {name: (await fresh_database.template("toy", create)).url for name in ("workflow", "billing")}


@asynccontextmanager
async def role(service: Service, url: str, kafka: Any, prefix: str, name: str) -> AsyncIterator[Runtime]:
    """One process of a service, drained at the end."""
    process = runtime(service, url, kafka.bootstrap, prefix, name)
    task = asyncio.create_task(ROLES[name](process))
    try:
        yield process
    finally:
        process.stopping.set()
        await asyncio.wait_for(task, 30)
        await process.wakeup.close()
        await process.database.close()


async def becomes(read: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    async def probe() -> Any:
        found = await read()
        assert found == wanted
        return True

    await eventually(probe, within=40, every=0.1)


async def tills(process: Runtime) -> dict[UUID, int]:
    return {row["id"]: row["total"] for row in await process.database.read("SELECT id, total FROM tills")}


async def test_what_one_service_decides_another_hears(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire
) -> None:
    subjects = [uuid4() for _ in range(20)]
    async with AsyncExitStack() as processes:
        told = await processes.enter_async_context(role(WORKFLOW, urls["workflow"], kafka, prefix, "relay"))
        heard = await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, "worker"))
        for _ in range(3):
            await told.deciders["tills"].handle_batch([asked(subject, Add(1)) for subject in subjects])
        await becomes(lambda: tills(heard), dict.fromkeys(subjects, 1 + 2 + 3))


async def test_a_gap_is_mended_from_the_producers_journal(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire
) -> None:
    subject, other = uuid4(), uuid4()
    before = measured("relay_resent_total", asker="billing")
    async with role(WORKFLOW, urls["workflow"], kafka, prefix, "relay") as told:
        decider = told.deciders["tills"]
        for _ in range(3):
            await decider.handle(asked(subject, Add(1)))
        await becomes(lambda: _length(wire.read("workflow.requests")), 3)
        await _forget(kafka, f"{prefix}.workflow.requests")
        await decider.handle(asked(subject, Add(1)))
        await decider.handle(asked(other, Add(1)))
        async with AsyncExitStack() as processes:
            heard = await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, "worker"))
            for name in ("timers", "relay"):
                await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, name))
            await becomes(lambda: tills(heard), {subject: 1 + 2 + 3 + 4, other: 1})

            async def settled() -> tuple[Any, ...]:
                waits = await heard.database.read("SELECT count(*) FROM waiting")
                rows = await heard.database.read("SELECT blocked FROM tills WHERE id = $1", subject)
                return waits[0][0], rows[0]["blocked"]

            await becomes(settled, (0, None))
    asks = [ResendAsked.read(record.value) for record in await wire.read("workflow.asks")]
    assert [(ask.asker, ask.stream, ask.subject, ask.after) for ask in asks] == [
        ("billing", "workflow.requests", subject, 0)
    ]
    assert measured("relay_resent_total", asker="billing") >= before + 3


async def test_a_service_that_starts_late_catches_up_in_history_mode(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire
) -> None:
    subjects = [uuid4() for _ in range(8)]
    async with role(WORKFLOW, urls["workflow"], kafka, prefix, "relay") as told:
        decider = told.deciders["tills"]
        for _ in range(2):
            await decider.handle_batch([asked(subject, Add(1)) for subject in subjects])
        await becomes(lambda: _length(wire.read("workflow.requests")), 16)
        await becomes(lambda: _published(told), 16)
        await _forget(kafka, f"{prefix}.workflow.requests")
        async with role(BILLING, urls["billing"], kafka, prefix, "relay") as late:
            await asking.bootstrap(late.database, "billing", PARTITIONS, ["workflow.requests"])
            await becomes(lambda: _length(wire.read("billing.resent")), 16)
        await decider.handle_batch([asked(subject, Add(1)) for subject in subjects])
        async with AsyncExitStack() as processes:
            heard = await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, "worker"))
            await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, "timers"))
            await becomes(lambda: tills(heard), dict.fromkeys(subjects, 100 + 200 + 3))


SLOW_RELAY = """
import chassis.resend
from chassis.app import run
from testkit.toyhearing import WORKFLOW
from testkit.toyservice import ToySettings
chassis.resend._PAGE, chassis.resend._BULK_PAUSE = 2, 0.3
run(WORKFLOW, ToySettings)
"""


@pytest.fixture
def slow_relay(urls: dict[str, str], kafka: Any, prefix: str, tmp_path: Path) -> Iterator[Callable[[], Popen[bytes]]]:
    """Starts a relay of the toy `workflow` as a process of its own, which takes seconds to resend everything."""
    toyservice.issuer(tmp_path)
    environment = {
        "THROUGHLINE_ENV": "test", "THROUGHLINE_PREFIX": prefix, "THROUGHLINE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "THROUGHLINE_JWKS_URL": (tmp_path / "jwks.json").as_uri(), "THROUGHLINE_ISSUER": toyservice.ISSUER,
        "THROUGHLINE_PARTITIONS": str(PARTITIONS), "THROUGHLINE_DATABASE_URL": urls["workflow"],
    }  # fmt: skip
    command = [sys.executable, "-c", SLOW_RELAY, "--role", "relay"]
    started: list[Popen[bytes]] = []

    def start() -> Popen[bytes]:
        started.append(Popen(command, env={**os.environ, **environment}, stdout=DEVNULL, stderr=DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def resent(wire: Wire) -> tuple[list[Any], list[Any]]:
    """(key, sequence) of what was resent to `billing`: alone, and in bulk."""
    found: tuple[list[Any], list[Any]] = [], []
    for record in await wire.read("billing.resent"):
        bulk = ("ce_history", b"1") in record.headers
        found[bulk].append((record.key, int(dict(record.headers)["ce_sequence"])))
    return found


async def test_a_gap_is_mended_behind_a_bulk_answer_which_the_next_process_begins_anew_after_a_kill(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire, slow_relay: Callable[[], Popen[bytes]]
) -> None:
    subjects, key = [uuid4() for _ in range(20)], uuid4()
    async with role(WORKFLOW, urls["workflow"], kafka, prefix, "relay") as told:
        for _ in range(2):
            await told.deciders["tills"].handle_batch([asked(subject, Add(1)) for subject in subjects])
        await becomes(lambda: _published(told), 40)
        await told.database.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
    for subject in (None, subjects[0]):
        wanted = ResendAsked(asker="billing", stream="workflow.requests", subject=subject, after=0)
        said = headers(prefix, ResendAsked, key, None, source=f"/{prefix}/billing")
        await wire.send("workflow.asks", key, body(wanted), said)
    process = slow_relay()
    lone = [(str(subjects[0]).encode(), n) for n in (1, 2)]
    await becomes(lambda: _first(resent(wire)), lone)
    await becomes(lambda: _begun(resent(wire)), True)
    process.kill()
    process.wait()
    assert 0 < len((await resent(wire))[1]) < 40
    assert await wire.committed("workflow.relay", "workflow.asks") == 0
    async with role(WORKFLOW, urls["workflow"], kafka, prefix, "relay"):
        await becomes(lambda: wire.committed("workflow.relay", "workflow.asks"), 2)
    everything = {(str(subject).encode(), n) for subject in subjects for n in (1, 2)}
    assert set((await resent(wire))[1]) == everything


async def _first(found: Awaitable[tuple[Any, Any]]) -> Any:
    return (await found)[0]


async def _begun(found: Awaitable[tuple[Any, Any]]) -> bool:
    return bool((await found)[1])


async def _published(runtime: Any) -> int:
    """How many facts the saved cursor has behind it, its holes left out: only those are answered to an ask."""
    (row,) = await runtime.database.read(
        "SELECT coalesce(sum(high - cardinality(holes)), 0)::int AS published FROM relay_cursor"
    )
    return int(row["published"])


async def test_what_is_not_published_yet_is_not_told_by_an_answer_either(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire
) -> None:
    process = runtime(WORKFLOW, urls["workflow"], kafka.bootstrap, prefix, "relay")
    subject, publisher = uuid4(), Publisher(prefix, bootstrap_servers=kafka.bootstrap)
    wanted = ResendAsked(asker="billing", stream="workflow.requests", subject=subject, after=0)
    answers = Answers(process.database, publisher, "workflow", prefix)
    lease = Lease(process.database, PARTITIONS, timedelta(hours=1))
    await lease.take()
    for _ in range(3):
        await process.deciders["tills"].handle(asked(subject, Add(1)))
    for cursor in (Cursor(0), Cursor(3, {1: 10, 3: 10})):  # nothing is published; then the second of three facts
        await lease.save(range(PARTITIONS), [saved(cursor)] * PARTITIONS)
        await answers.answer(wanted, subject)
    assert await resent(wire) == ([(str(subject).encode(), 2)], [])
    await publisher.close()
    await process.database.close()


async def test_an_ask_for_what_is_not_told_here_is_passed_over(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire
) -> None:
    subject = uuid4()
    async with role(WORKFLOW, urls["workflow"], kafka, prefix, "relay") as told:
        await told.deciders["tills"].handle(asked(subject, Add(1)))
        await becomes(lambda: _length(wire.read("workflow.requests")), 1)
        await becomes(lambda: _published(told), 1)

        async def ask(asker: str, stream_name: str) -> None:
            wanted = ResendAsked(asker=asker, stream=stream_name, subject=subject, after=0)
            said = headers(prefix, ResendAsked, subject, None, source=f"/{prefix}/billing")
            await wire.send("workflow.asks", subject, body(wanted), said)

        await wire.send("workflow.asks", subject, b"no ask", [])
        await ask("nobody", "workflow.requests")
        await ask("billing", "intake.requests")
        await ask("billing", "workflow.requests")
        await becomes(lambda: _length(wire.read("billing.resent")), 1)
        await becomes(lambda: wire.committed("workflow.relay", "workflow.asks"), 4)


async def test_a_clients_commands_are_decided_once_and_answered(
    urls: dict[str, str], kafka: Any, prefix: str, wire: Wire
) -> None:
    await toyservice.register(urls["billing"], "erp", "tills:write")
    till, command_id = uuid4(), new_id()
    removal = RemoveCharge(line_id=uuid4())
    said = headers(prefix, RemoveCharge, till, None, id=command_id, source="/erp")  # type: ignore[arg-type]
    async with AsyncExitStack() as processes:
        heard = await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, "worker"))
        await processes.enter_async_context(role(BILLING, urls["billing"], kafka, prefix, "relay"))
        await heard.deciders["tills"].handle(asked(till, Add(5)))
        await wire.send("billing.commands.erp", till, body(removal), said)  # type: ignore[arg-type]
        await wire.send("billing.commands.erp", till, body(removal), said)  # type: ignore[arg-type]
        await wire.send("billing.commands.erp", till, b"{}", headers(prefix, RemoveCharge, till, None, source="/erp"))  # type: ignore[arg-type]
        await wire.send("billing.commands.erp", till, b"{}", [])
        await becomes(lambda: tills(heard), {till: 4})
        await becomes(lambda: _length(wire.read("billing.results.erp")), 3)
        await becomes(lambda: _length(wire.read("billing.dead-letters")), 1)
    answers = await wire.read("billing.results.erp")
    accepted = [CommandAccepted.read(one.value) for one in answers if b"answer" in one.value]
    assert [(one.command_id, one.subject, one.answer["total"]) for one in accepted] == [(command_id, till, 4)] * 2
    (refused,) = (CommandRefused.read(one.value) for one in answers if b"answer" not in one.value)
    assert refused.problem.type.endswith("invalid")
    assert {dict(one.headers)["ce_type"] for one in answers} == {
        b"throughline.command-accepted.v1", b"throughline.command-refused.v1",
    }  # fmt: skip
    assert orjson.loads((await wire.read("billing.dead-letters"))[0].value)["reason"] == "not-a-cloudevent"


async def _length(found: Awaitable[list[Any]]) -> int:
    return len(await found)


async def _forget(kafka: Any, topic: str) -> None:
    """Remove what a topic has, as its retention does in time."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_records(
            {TopicPartition(topic, n): RecordsToDelete(before_offset=-1) for n in range(PARTITIONS)}
        )
    finally:
        await admin.close()
