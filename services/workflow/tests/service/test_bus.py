"""Over the bus: a submission comes in on intake's topic, the request goes out on ours."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from chassis import naming, relay, schema, stream, timers, wiring
from chassis.asked import Asked
from chassis.clock import utc_now
from chassis.decision import SYSTEM, Actor
from chassis.ids import new_id
from chassis.service import Runtime
from chassis.topics import Topics
from contracts import intake, workflow
from contracts.base import ActorRef
from contracts.envelope import Envelope, from_headers, to_headers
from testkit.eventually import eventually
from workflow.domain import messages, queues
from workflow.domain.records import Definition, Stage
from workflow.main import SERVICE, Settings

pytestmark = pytest.mark.servers

_ROOT = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9f15")
REQUEST, CONTACT, OLGA = (uuid5(_ROOT, name) for name in ("request", "contact", "olga"))
PARTITIONS = 2


async def migrated(url: str) -> None:
    url = url.replace("postgresql://", "postgresql+asyncpg://")
    await asyncio.to_thread(schema.upgrade, SERVICE.migrations, url=url, schema="public", role="")


@pytest_asyncio.fixture
async def running(fresh_database: Any, kafka: Any, prefix: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    """Worker, timers and relay of the service at work on topics of their own."""
    await Topics(prefix, PARTITIONS, bootstrap_servers=kafka.bootstrap).apply()
    settings = Settings(
        env="test",
        prefix=prefix,
        database_url=(await fresh_database.template("workflow on the bus", migrated)).url,
        kafka_bootstrap=kafka.bootstrap,
        jwks_url=(tmp_path / "jwks.json").as_uri(),
        issuer="http://issuer.test",
        partitions=PARTITIONS,
    )
    runtime = wiring.build(SERVICE, settings, "worker")
    roles = [asyncio.create_task(role(runtime)) for role in (stream.run, timers.run, relay.run)]
    yield runtime
    runtime.stopping.set()
    await asyncio.gather(*roles)
    await runtime.wakeup.close()
    await runtime.database.close()


async def told(runtime: Runtime, count: int) -> list[tuple[Envelope, bytes]]:
    """The first facts about requests on the topic."""
    topic = naming.topic(runtime.prefix, "workflow.requests")
    servers = runtime.settings.kafka_bootstrap
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(75):
            return [await _next(consumer) for _ in range(count)]
    finally:
        await consumer.stop()


async def _next(consumer: Any) -> tuple[Envelope, bytes]:
    record = await consumer.getone()
    assert record.key == str(REQUEST).encode()
    return from_headers(record.headers), record.value


async def submit(runtime: Runtime, event: intake.RequestSubmitted, times: int = 1) -> None:
    """Tell a submission as intake does, once or again."""
    envelope = Envelope(
        id=new_id(), source=naming.source(runtime.prefix, "intake"), type=event.type, version=1, time=utc_now(),
        subject=str(REQUEST), sequence=1, correlation_id=new_id(),
    )  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=runtime.settings.kafka_bootstrap)
    await producer.start()
    for _ in range(times):
        await producer.send_and_wait(
            naming.topic(runtime.prefix, "intake.requests"),
            event.model_dump_json().encode(),
            key=str(REQUEST).encode(),
            headers=to_headers(envelope),
        )
    await producer.stop()


def submission(received_at: datetime) -> intake.RequestSubmitted:
    return intake.RequestSubmitted(
        number="R-000001", contact_id=CONTACT, queue="support", queue_version=1, summary="Line is dead",
        impact="medium", urgency="medium", occurred_at=received_at, received_at=received_at, channel="api",
        submitted_by=ActorRef(kind="person", id=OLGA),
    )  # fmt: skip


async def published(runtime: Runtime) -> None:
    """A queue with an hour for everything."""
    definition = Definition("support", 0, "Support", (Stage("Work", "in-progress"),), {"medium": 60}, {})
    for message in (messages.DraftQueue(definition), messages.PublishQueue()):
        await _ask(runtime, "queues", queues.subject_of("support"), message)


async def test_a_submission_heard_twice_and_before_its_queue_is_told_as_one_open_request(running: Runtime) -> None:
    await submit(running, submission(utc_now()), times=2)
    await published(running)
    [(envelope, value)] = await told(running, 1)
    opened = workflow.RequestOpened.model_validate_json(value)
    assert (opened.number, opened.stage, opened.owner_id) == ("R-000001", "New", OLGA)
    assert (envelope.sequence, envelope.subject, envelope.type) == (1, str(REQUEST), "workflow.request-opened")
    await _ask(running, "requests", REQUEST, messages.Close("cancelled", None, None, Actor("contact", CONTACT)))
    facts = await told(running, 3)
    assert [envelope.type.removeprefix("workflow.") for envelope, _ in facts] == [
        "request-opened",
        "stage-changed",
        "request-closed",
    ]
    assert [envelope.sequence for envelope, _ in facts] == [1, 2, 3]


async def test_a_submission_whose_queue_never_becomes_known_is_rejected_after_its_wait(running: Runtime) -> None:
    await submit(running, submission(utc_now()))
    assert await eventually(lambda: _age(running, seconds=58), within=30)
    assert await eventually(lambda: _tried_again(running), within=30)
    assert await _age(running, seconds=3)
    [(envelope, value)] = await told(running, 1)
    rejected = workflow.RequestRejected.model_validate_json(value)
    assert (rejected.reason, rejected.detail) == ("queue-unknown", "queue support@1 is not known here")
    assert (envelope.sequence, envelope.subject) == (1, str(REQUEST))
    assert await running.database.read("SELECT 1 FROM waiting UNION ALL SELECT 1 FROM dead_letters") == []


async def _age(runtime: Runtime, *, seconds: int) -> bool:
    """Let what waits have waited longer, and be tried now; whether anything waits."""
    update = (
        "UPDATE waiting SET first_at = first_at - make_interval(secs => $1), next_at = clock_timestamp(), attempts = 1 "
        "RETURNING id"
    )
    return bool(await runtime.database.read(update, seconds))


async def _tried_again(runtime: Runtime) -> bool:
    return bool(await runtime.database.read("SELECT 1 FROM waiting WHERE attempts > 1"))


async def test_S87_a_breach_rings_by_itself_and_is_dated_when_it_was_due(running: Runtime) -> None:
    received_at = utc_now() - timedelta(minutes=60) + timedelta(seconds=10)
    await published(running)
    await submit(running, submission(received_at))
    (_, first), (_, second) = await told(running, 2)
    opened = workflow.RequestOpened.model_validate_json(first)
    breached = workflow.SlaBreached.model_validate_json(second)
    assert opened.due_at == breached.due_at == breached.breached_at == received_at + timedelta(minutes=60)
    assert breached.emitted_at > breached.breached_at


async def _ask(runtime: Runtime, aggregate: str, subject: UUID, message: Any) -> None:
    identifier = new_id()
    actor = getattr(message, "actor", SYSTEM)
    asked = Asked(subject=subject, message=message, id=identifier, actor=actor, correlation_id=identifier)
    outcome = await runtime.deciders[aggregate].handle(asked)
    assert outcome.refused is None
