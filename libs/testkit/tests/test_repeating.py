"""Records come up to three times: which, when, what proves it; and copies are no violation by themselves."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis import naming
from chassis.clock import utc_now
from cli.reconcile.heard import Heard
from testkit.chaos import repeating
from testkit.chaos.archive import Archive
from testkit.chaos.evidence import Evidence
from testkit.chaos.laws.acceptance import acts_happen_once, unknown_at_most_once
from testkit.chaos.laws.books import invoices_add_up, series_have_no_gap
from testkit.chaos.laws.order import no_gaps
from testkit.chaos.operations import Operation, Operations
from testkit.chaos.repeating import MOST_COPIES, Copies, Repeated
from testkit.eventually import eventually
from testkit.plugin import KafkaServer


def record(offset: int, key: bytes = b"7", value: bytes | None = None) -> Any:
    return SimpleNamespace(
        topic="facts", partition=0, offset=offset, timestamp=1, key=key, headers=(("ce_id", b"%d" % offset),),
        value=b"%d" % offset if value is None else value,
    )  # fmt: skip


class Most(Random):
    """Always as many copies as there may be, as late as they may be."""

    def randint(self, a: int, b: int) -> int:
        return b

    def uniform(self, a: float, b: float) -> float:
        return b


def test_copies_come_when_their_time_has_come_and_not_before() -> None:
    copies = Copies(Most(), (1.0, 3.0))
    copies.see(record(0), 10.0)
    copies.see(record(1), 11.0)
    assert copies.waiting == 2 * MOST_COPIES
    assert copies.due(12.9) == []
    assert [each.offset for each in copies.due(13.0)] == [0] * MOST_COPIES
    assert [each.offset for each in copies.due(99.0)] == [1] * MOST_COPIES
    assert copies.waiting == 0


def test_a_copy_is_not_copied_again_and_nothing_is_once_it_has_ended() -> None:
    copies = Copies(Most())
    copies.see(record(0), 0.0)
    again = record(5, value=b"0")
    again.headers = record(0).headers
    copies.see(again, 0.0)
    assert copies.waiting == MOST_COPIES
    copies.ended = True
    copies.see(record(6), 0.0)
    assert copies.waiting == MOST_COPIES


def test_records_come_once_twice_or_three_times() -> None:
    copies = Copies(Random(7))
    for offset in range(300):
        copies.see(record(offset), 0.0)
    times = [0] * 300
    for each in copies.due(99.0):
        times[each.offset] += 1
    assert set(times) == {0, 1, 2}


def test_it_is_proved_by_a_copy_behind_a_newer_record_of_its_key() -> None:
    copies = Copies(Most())
    for each in (record(0), record(1, b"8")):
        copies.see(each, 0.0)
    copies.accepted(record(0), 2)
    assert copies.behind == 0, "what lies between is of another key"
    assert copies.proof == ""
    copies.see(record(3), 0.0)
    assert copies.proof == "", "what is newer lies behind it"
    copies.accepted(record(0), 4)
    assert copies.proof == "2 copies of 1 records, 1 behind a newer one of their key"


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REQUEST = UUID(int=7)
AT = int((utc_now() - timedelta(minutes=1)).timestamp() * 1000)
"""When the records of these tests were told; Kafka may drop old ones."""
MONEY = {"amount": "1.00", "currency": "EUR"}


def fact(sequence: int, kind: str, **data: Any) -> Heard:
    topic = "billing.accounts" if kind.startswith("billing") else "intake.requests"
    return Heard(topic, kind, REQUEST, sequence, UUID(int=100 + sequence), NOON, data)


def books(facts: list[Heard]) -> Evidence:
    """What is known when these facts were read in this order, after one submission and one charge."""
    archive = Archive()
    repeats = [archive.enter(each) for each in facts]
    assert sum(repeats) == len(facts) - len({each.id for each in facts})
    operations = Operations([Operation(what, what, "http", "ok", 0.1, REQUEST, "m") for what in ("submit", "charge")])
    return Evidence(operations, facts=archive.of([REQUEST]), issued=archive.issued)


LAWS = (no_gaps, acts_happen_once, unknown_at_most_once, series_have_no_gap, invoices_add_up)


def test_copies_behind_newer_facts_break_no_promise_and_a_copy_that_had_an_effect_does() -> None:
    line = {"line_id": "l1", "net": MONEY, "tax": {**MONEY, "amount": "0.00"}}
    invoice = {"number": "INV-2026-000001", "close_no": 1, "lines": [line], "net": MONEY, "total": MONEY}
    told = [
        fact(1, "intake.request-submitted", summary="x [m]", number="R-1"),
        fact(1, "billing.charge-logged", line_id="l1"),
        fact(2, "billing.invoice-issued", tax=line["tax"], **invoice),
    ]
    told[1] = replace(told[1], id=UUID(int=300))
    copied = books([*told, *told, told[0], told[1]])
    assert [each for law in LAWS for each in law(copied)] == []
    effect = replace(told[1], sequence=3, id=UUID(int=400))
    assert [name for law in LAWS for name, *_ in law(books([*told, *told, effect]))] == ["act-repeated"]
    altered = replace(told[1], data={"line_id": "l2"})
    assert [name for name, *_ in no_gaps(books([*told, altered]))] == ["told-otherwise"]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "Copies", lambda _: Copies(Most(), (1.0, 1.5)))


async def told(bootstrap: str, topic: str) -> list[Any]:
    """Everything on a topic of one partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        found: list[Any] = []
        async with asyncio.timeout(20):
            while len(found) < end:
                found += [each for batch in (await consumer.getmany(timeout_ms=500)).values() for each in batch]
        return found
    finally:
        await consumer.stop()


async def made(bootstrap: str, *topics: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    await admin.close()


async def test_what_is_told_while_it_lasts_comes_again_as_it_was(kafka: KafkaServer, prefix: str, soon: None) -> None:
    topics = [naming.topic(prefix, name) for name in ("workflow.requests", "intake.commands.crm")]
    await made(kafka.bootstrap, *topics)
    site: Any = SimpleNamespace(bootstrap=kafka.bootstrap, prefix=prefix)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        for topic in topics:
            await producer.send_and_wait(topic, b"before", b"7", headers=[("ce_id", b"0")])
        fault = Repeated(site, Random(1))
        await fault.strike()
        for topic in topics:
            for n in (1, 2):
                await producer.send_and_wait(
                    topic, b"%d" % n, b"7", headers=[("ce_id", b"%d" % n)], timestamp_ms=AT + n
                )
        await eventually(lambda: len(fault._copies._known) >= 4)
        await fault.heal()
    finally:
        await producer.stop()
    assert fault.proof == "8 copies of 4 records, 4 behind a newer one of their key"
    for topic in topics:
        first, *rest = await told(kafka.bootstrap, topic)
        assert first.value == b"before", "what was told earlier is left alone"
        said = [(each.value, each.key, each.headers, each.timestamp) for each in rest]
        assert said[:2] == [(b"%d" % n, b"7", (("ce_id", b"%d" % n),), AT + n) for n in (1, 2)]
        assert sorted(said[2:]) == sorted(said[:2] * MOST_COPIES)


async def test_where_nothing_was_told_nothing_is_proved(kafka: KafkaServer, prefix: str, soon: None) -> None:
    await made(kafka.bootstrap, naming.topic(prefix, "workflow.requests"))
    site: Any = SimpleNamespace(bootstrap=kafka.bootstrap, prefix=prefix)
    fault = Repeated(site, Random(1))
    await fault.strike()
    await fault.heal()
    assert not fault.struck
