"""The relay against real PostgreSQL and Kafka: nothing lost, nothing reordered, whatever dies."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis.database import Database
from chassis.partition import partition_of
from chassis.publishing import Publisher
from chassis.relay import Relay
from chassis.telemetry import RELAY_FAILURES_TOTAL
from chassis.wakeup import Wakeup
from contracts.envelope import from_headers
from testkit import toy
from testkit.eventually import eventually
from testkit.toy import Add, asked

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def place(fresh_database: Any) -> Any:
    return await fresh_database.template("toy", toy.create)


@pytest_asyncio.fixture
async def database(place: Any) -> AsyncIterator[Database]:
    database = Database(place.url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def bell(place: Any) -> AsyncIterator[Wakeup]:
    bell = Wakeup(place.url)
    yield bell
    await bell.close()


@pytest_asyncio.fixture
async def topic(kafka: Any, prefix: str) -> str:
    await make(kafka, f"{prefix}.toy.tills", toy.PARTITIONS)
    return f"{prefix}.toy.tills"


async def make(kafka: Any, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1)])
    await admin.close()


def relay(database: Database, bell: Wakeup, kafka: Any, prefix: str, **more: Any) -> Relay:
    publisher = Publisher(prefix, bootstrap_servers=kafka.bootstrap)
    return Relay(database, publisher, bell, partitions=toy.PARTITIONS, source=f"/{prefix}/toy", **more)


@asynccontextmanager
async def running(one: Relay) -> AsyncIterator[Relay]:
    """A relay that leads, drained at the end."""
    stopping = asyncio.Event()
    task = asyncio.create_task(one.run(stopping))
    try:
        await eventually(lambda: one.leading)
        yield one
    finally:
        stopping.set()
        await asyncio.wait_for(task, 20)


async def published(kafka: Any, topic: str) -> dict[UUID, list[int]]:
    """Sequences per subject in the order of the log."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
    await consumer.start()
    found: dict[UUID, list[int]] = {}
    try:
        places = [TopicPartition(topic, n) for n in range(toy.PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    envelope = from_headers(record.headers)
                    found.setdefault(UUID(str(envelope.subject)), []).append(envelope.sequence or 0)
    finally:
        await consumer.stop()
    return found


def firsts(sequences: list[int]) -> list[int]:
    """First occurrences, in order."""
    return list(dict.fromkeys(sequences))


async def test_what_is_committed_is_published_in_order(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str
) -> None:
    tills = [uuid4() for _ in range(20)]
    decider = toy.decider(database)
    stopping = asyncio.Event()
    task = asyncio.create_task(relay(database, bell, kafka, prefix).run(stopping))
    for _ in range(10):
        await decider.handle_batch([asked(till, Add(1)) for till in tills])

    async def all_there() -> bool:
        found = await published(kafka, topic)
        return all(found.get(till) == list(range(1, 11)) for till in tills)

    await eventually(all_there, every=0.2)
    stopping.set()
    await task
    (row,) = await database.read("SELECT lease_until FROM relay")
    assert row["lease_until"] is None


async def test_a_second_relay_takes_over_when_the_first_is_gone(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str
) -> None:
    first, second = (relay(database, bell, kafka, prefix) for _ in range(2))
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(first.run(stop_first))
    await eventually(lambda: first.leading)
    two = asyncio.create_task(second.run(stop_second))
    stop_first.set()
    await one
    await eventually(lambda: second.leading)
    await toy.decider(database).handle(asked(uuid4(), Add(1)))
    await eventually(lambda: second.sent == 1)
    stop_second.set()
    await two


async def test_a_stale_relay_cannot_save_its_cursor(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str
) -> None:
    stopping = asyncio.Event()
    one = relay(database, bell, kafka, prefix)
    task = asyncio.create_task(one.run(stopping))
    await eventually(lambda: one.leading)
    await database.execute("UPDATE relay SET epoch = epoch + 1, lease_until = clock_timestamp() + interval '1 hour'")
    await eventually(lambda: not one.leading)
    stopping.set()
    await task


async def test_nothing_is_lost_or_reordered_whatever_dies(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str
) -> None:
    """Six writers on hot keys, aborts, a relay that is cancelled again and again, a transaction held open elsewhere."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    tills = [uuid4() for _ in range(12)]
    writers_done = asyncio.Event()
    held = await database.connect()
    await held.execute("BEGIN")
    await held.execute("CREATE TABLE held_open (n int)")

    async def write(n: int) -> None:
        decider = toy.decider(database)
        for _ in range(40):
            batch = [asked(till, Add(1)) for till in chance.sample(tills, 3)]
            await decider.handle_batch(batch)
            await _aborted(database, chance)

    async def crashing_relay() -> None:
        while not writers_done.is_set():
            task = asyncio.create_task(relay(database, bell, kafka, prefix).run(asyncio.Event()))
            await asyncio.wait({task}, timeout=chance.uniform(0.02, 0.3))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await database.execute("UPDATE relay SET lease_until = NULL")

    crasher = asyncio.create_task(crashing_relay())
    await asyncio.gather(*(write(n) for n in range(6)))
    writers_done.set()
    await crasher
    await held.close()
    stopping = asyncio.Event()
    last = relay(database, bell, kafka, prefix)
    task = asyncio.create_task(last.run(stopping))
    told = {row["id"]: row["sequence"] for row in await database.read("SELECT id, sequence FROM tills")}

    async def complete() -> bool:
        found = await published(kafka, topic)
        return {till: max(sequences) for till, sequences in found.items()} == told

    await eventually(complete, within=30, every=0.3)
    stopping.set()
    await task
    found = await published(kafka, topic)
    for till, sequences in found.items():
        assert firsts(sequences) == list(range(1, told[till] + 1)), f"seed {seed}: {till}"
    assert sum(told.values()) == 6 * 40 * 3


async def _aborted(database: Database, chance: random.Random) -> None:
    """A transaction that draws a journal number and is rolled back, sometimes after a while: a hole."""
    if chance.random() > 0.3:
        return
    connection = await database.connect()
    try:
        await connection.execute("BEGIN")
        await connection.execute(
            f"SELECT pg_current_xact_id(), nextval('journal_seq_{chance.randrange(toy.PARTITIONS)}')"
        )
        await connection.execute("SELECT pg_sleep($1::float)", chance.uniform(0, 0.05))
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()


async def test_a_topic_that_is_missing_holds_back_its_own_records_alone(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str
) -> None:
    """An answer whose topic is not there yet waits; the facts beside it go out; a restart forgets nothing."""
    till, other = uuid4(), uuid4()
    decider = toy.decider(database)
    async with running(relay(database, bell, kafka, prefix)) as first:
        await decider.handle(asked(till, Add(1), reply_to="erp", remember=True))
        await decider.handle(asked(till, Add(1)))
        await decider.handle(asked(other, Add(1)))
        await eventually(lambda: first.sent == 3)
        await eventually(lambda: _held(database, 1))
    async with running(relay(database, bell, kafka, prefix)) as second:
        for beside in (other, till):
            await decider.handle(asked(beside, Add(1)))
        await eventually(lambda: second.sent == 2)
        assert await second.oldest_unsent() > 0
        await make(kafka, f"{prefix}.toy.results.erp", 3)
        await eventually(lambda: second.sent == 3, within=30)
        await eventually(lambda: _held(database, 0))
        assert await second.oldest_unsent() == 0
    assert await published(kafka, topic) == {till: [1, 2, 3], other: [1, 2]}


async def test_what_was_left_unsent_by_a_long_outage_comes_in_order_and_is_read_a_little_at_a_time(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.relay._AGAIN", 3)
    monkeypatch.setattr("chassis.relay._FEWEST", 250)
    tills, decider = [uuid4() for _ in range(12)], toy.decider(database)
    for _ in range(10):
        await decider.handle_batch([asked(till, Add(1)) for till in tills])
    async with running(relay(database, bell, kafka, prefix)):
        await eventually(lambda: _held(database, 120))
    fetched: list[int] = []
    read = database.read

    async def counted(sql: str, *given: Any) -> Any:
        rows = await read(sql, *given)
        fetched.append(len(rows))
        return rows

    monkeypatch.setattr(database, "read", counted)
    async with running(relay(database, bell, kafka, prefix)) as second:
        await make(kafka, f"{prefix}.toy.tills", toy.PARTITIONS)
        await eventually(lambda: second.sent >= 120, within=30)
        await eventually(lambda: _held(database, 0))
    assert max(fetched) <= 2 * 3 * toy.PARTITIONS
    found = await published(kafka, f"{prefix}.toy.tills")
    assert {till: firsts(sequences) for till, sequences in found.items()} == {till: [*range(1, 11)] for till in tills}


async def test_a_row_that_cannot_be_read_is_told_of_and_holds_back_its_own_topic_of_a_group_alone(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str
) -> None:
    """It never stalls in silence, and goes out in its order as soon as somebody mended it."""
    spoilt, other = (UUID(int=n) for n in (1, 2))
    assert partition_of(str(spoilt).encode(), toy.PARTITIONS) != partition_of(str(other).encode(), toy.PARTITIONS)
    decider, before = toy.decider(database), RELAY_FAILURES_TOTAL._value.get()
    await decider.handle(asked(spoilt, Add(1)))
    await database.read("UPDATE journal SET actor = '[]' WHERE subject = $1 RETURNING 1", spoilt)
    async with running(relay(database, bell, kafka, prefix)) as one:
        await decider.handle(asked(spoilt, Add(1)))
        await decider.handle(asked(other, Add(1)))
        await eventually(lambda: one.sent == 1)
        await eventually(lambda: RELAY_FAILURES_TOTAL._value.get() > before)
        assert await published(kafka, topic) == {other: [1]}
        actor = '{"kind":"system","id":null}'
        await database.read("UPDATE journal SET actor = $2 WHERE subject = $1 RETURNING 1", spoilt, actor)
        await eventually(lambda: one.sent == 3)
    assert await published(kafka, topic) == {spoilt: [1, 2], other: [1]}


async def test_the_latest_documents_are_told_again_after_a_change_of_lease(
    database: Database, bell: Wakeup, kafka: Any, prefix: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.relay._TELL_AGAIN_AFTER", 0.3)
    one, other = uuid4(), uuid4()
    decider = toy.decider(database)
    async with running(relay(database, bell, kafka, prefix)) as first:
        for till in (one, one, other):
            await decider.handle(asked(till, Add(1)))
        await eventually(lambda: first.sent == 3)
    async with running(relay(database, bell, kafka, prefix, documents=["toy.tills"])) as second:
        await eventually(lambda: second.sent == 2)
    assert await published(kafka, topic) == {one: [1, 2, 2], other: [1, 1]}


async def _held(database: Database, wanted: int) -> bool:
    """Whether so many numbers are kept below the cursors."""
    rows = await database.read("SELECT coalesce(sum(cardinality(holes)), 0)::int AS held FROM relay_cursor")
    return bool(rows[0]["held"] == wanted)
