"""What a service hears, over real Kafka and PostgreSQL: applied once, in order, and nothing bad reaches a neighbour."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest_asyncio

from chassis import stream
from chassis.service import Runtime
from contracts import workflow
from testkit import toyhearing
from testkit.eventually import eventually
from testkit.streams import Wire, body, headers, make_topics
from testkit.toy import create

TOPICS = ("workflow.requests", "workflow.people", "billing.resent", "billing.dead-letters", "workflow.asks")


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    return str((await fresh_database.template("toy", create)).url)


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, TOPICS)
    async with Wire(kafka.bootstrap, prefix) as found:
        yield found


@pytest_asyncio.fixture
async def database(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@asynccontextmanager
async def worker(url: str, kafka: Any, prefix: str) -> AsyncIterator[Runtime]:
    """A worker of the toy `billing`, drained at the end."""
    runtime = toyhearing.runtime(toyhearing.BILLING, url, kafka.bootstrap, prefix, "worker")
    task = asyncio.create_task(stream.run(runtime))
    try:
        yield runtime
    finally:
        runtime.stopping.set()
        await asyncio.wait_for(task, 20)
        await runtime.wakeup.close()
        await runtime.database.close()


def note(number: int) -> workflow.NoteAdded:
    return workflow.NoteAdded(note_id=uuid4(), note_no=number)


async def totals(database: Any) -> dict[UUID, tuple[int, int]]:
    """(total, position) of every till."""
    rows = await database.fetch("SELECT id, total, heard ->> 'workflow.requests' AS heard FROM tills")
    return {row["id"]: (row["total"], int(row["heard"] or 0)) for row in rows}


async def letters(database: Any) -> list[str]:
    return [row["reason"] for row in await database.fetch("SELECT reason FROM dead_letters ORDER BY id")]


async def test_facts_become_decisions_once_and_in_order(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    tills = [uuid4() for _ in range(10)]
    for n in (1, 2, 3):
        for till in tills:
            await wire.tell(till, n, note(n))
            await wire.tell(till, n, note(n))
    async with worker(url, kafka, prefix):
        await becomes(lambda: totals(database), dict.fromkeys(tills, (6, 3)))
    assert await wire.committed("billing", "workflow.requests") == 60
    assert await letters(database) == []


async def test_a_fact_that_nobody_handles_only_moves_the_position(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    till = uuid4()
    await wire.tell(till, 1, note(5))
    await wire.send("workflow.requests", till, b"no json", headers(prefix, workflow.RequestEdited, till, 2))
    unknown = headers(prefix, workflow.NoteAdded, till, 3, type="workflow.of-next-year")
    await wire.send("workflow.requests", till, b"{}", unknown)
    await wire.tell(till, 4, note(7))
    await wire.tell(till, 5, note(5))
    async with worker(url, kafka, prefix):
        await becomes(lambda: totals(database), {till: (10, 5)})


async def test_what_cannot_be_read_becomes_a_dead_letter_and_its_neighbours_go_on(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    till, other = uuid4(), uuid4()
    topic, good = "workflow.requests", body(note(1))
    right = headers(prefix, workflow.NoteAdded, other, 1)
    await wire.send(topic, other, good, [])
    await wire.send(topic, None, good, right)
    await wire.send(topic, till, good, right)
    await wire.send(topic, other, good, [(name, None) for name, _ in right])
    await wire.send(topic, other, good, [*right[1:], ("ce_type", b"\xff\xfe")])
    await wire.send(topic, other, good, headers(prefix, workflow.NoteAdded, other, 1, source=f"/{prefix}/intake"))
    await wire.send(topic, other, good, headers(prefix, workflow.NoteAdded, other, 1, source="/elsewhere/workflow"))
    await wire.send(topic, other, good, headers(prefix, workflow.NoteAdded, other, None))
    await wire.send(topic, b"no-uuid", good, headers(prefix, workflow.NoteAdded, "no-uuid", 1))
    await wire.tell(till, 1, note(4))
    await wire.send(topic, till, good, [*headers(prefix, workflow.NoteAdded, till, 2), ("reply_to", b"x"), ("n", None)])
    async with worker(url, kafka, prefix):
        await becomes(lambda: totals(database), {till: (5, 2)})
        await becomes(lambda: count(letters(database)), 9)
    assert sorted(await letters(database)) == sorted([
        "not-a-cloudevent", "key-missing", "key-wrong", "not-a-cloudevent", "header-not-text", "source-wrong",
        "source-unknown", "sequence-missing", "subject-malformed",
    ])  # fmt: skip
    kept = await database.fetchrow("SELECT * FROM dead_letters WHERE reason = 'key-missing'")
    assert (kept["topic"], kept["key"], kept["value"]) == (topic, None, good)
    told = await database.fetchval("SELECT count(*) FROM journal WHERE topic = 'billing.dead-letters'")
    assert told == 9


async def test_a_body_that_cannot_be_read_makes_its_own_request_wait(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    broken, defect, fine = uuid4(), uuid4(), uuid4()
    await wire.send("workflow.requests", broken, b'{"note_no": "x"}', headers(prefix, workflow.NoteAdded, broken, 1))
    await wire.tell(broken, 2, note(1))
    await wire.tell(defect, 1, note(13))
    await wire.tell(fine, 1, note(2))
    async with worker(url, kafka, prefix):
        await becomes(lambda: of(fine, totals(database)), (2, 1))

        async def waits() -> Any:
            rows = await database.fetch("SELECT subject, reason FROM waiting")
            return {(row["subject"], row["reason"]) for row in rows} == {
                (broken, "body-invalid"), (broken, "behind"), (defect, "error"),
            }  # fmt: skip

        await eventually(waits)


async def tell_of_person(
    wire: Wire, who: UUID, sequence: int, *, active: bool, more: bytes = b"", key: UUID | None = None
) -> None:
    event = workflow.Person(
        person_id=who, name="Ada", email=None, login=None, active=active, roles=(), teams=(), version=sequence
    )
    said = headers(wire.prefix, event, key or who, sequence)
    await wire.send("workflow.people", key or who, body(event)[:-1] + more + b"}", said)


async def test_documents_are_kept_by_their_highest_sequence_until_their_tombstone(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    one, two, bad = uuid4(), uuid4(), uuid4()
    person = partial(tell_of_person, wire)
    await person(one, 2, active=True)
    await person(one, 1, active=False)
    await person(two, 1, active=True)
    await person(bad, 1, active=True, more=b',"of-next-year":"\\u0000"')
    await person(two, 5, active=True, key=uuid4())
    gone = headers(prefix, workflow.Person, two, 2, type="workflow.person-erased")
    await wire.send("workflow.people", two, None, gone)

    async def kept() -> dict[str, Any]:
        rows = await database.fetch("SELECT id, sequence, doc::text FROM documents")
        return {row["id"]: (row["sequence"], row["doc"] and orjson.loads(row["doc"])["active"]) for row in rows}

    async with worker(url, kafka, prefix):
        await becomes(lambda: of(str(two), kept()), (2, None))
        await becomes(lambda: of(str(one), kept()), (2, True))
        await becomes(lambda: count(letters(database)), 2)
        await person(one, 1, active=False)  # in a batch of its own
        await person(bad, 1, active=True)
        await becomes(lambda: of(str(bad), kept()), (1, True))
        assert (await kept())[str(one)] == (2, True)
    assert sorted(await letters(database)) == ["document-not-storable", "key-wrong"]


async def test_a_batch_is_repeated_until_the_database_takes_it(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    till = uuid4()
    await wire.tell(till, 1, note(3))
    async with worker(url, kafka, prefix) as runtime:
        async with database.transaction():
            await database.execute("LOCK TABLE tills IN ACCESS EXCLUSIVE MODE")
            await eventually(
                lambda: runtime.deciders["tills"].counts["lost"] + runtime.deciders["tills"].counts["batches"]
            )
        await becomes(lambda: totals(database), {till: (3, 1)})


async def test_a_worker_goes_on_where_the_last_one_stopped(
    url: str, kafka: Any, prefix: str, wire: Wire, database: Any
) -> None:
    till = uuid4()
    for n in range(1, 6):
        await wire.tell(till, n, note(1))
        async with worker(url, kafka, prefix):
            await becomes(lambda: totals(database), {till: (n, n)})
        assert await wire.committed("billing", "workflow.requests") == n


async def of(key: Any, found: Awaitable[dict[Any, Any]]) -> Any:
    return (await found).get(key)


async def count(found: Awaitable[list[Any]]) -> int:
    return len(await found)


async def becomes(read: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Wait until what `read` gives is `wanted`."""

    async def probe() -> Any:
        found = await read()
        assert found == wanted
        return True

    await eventually(probe)
