"""How far consumers have come is read from a broker: what their groups have not committed is on its way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis import naming
from cli.reconcile import horizon
from cli.reconcile.heard import Heard
from testkit.plugin import KafkaServer

T0 = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FACT = Heard("workflow.requests", "workflow.request-closed", UUID(int=1), 1, UUID(int=2), T0, {}, 1, T0)


async def told(kafka: KafkaServer, topic: str, seconds: int) -> None:
    """A fact a second on the second of two partitions, the first at T0."""
    admin, producer = (kind(bootstrap_servers=kafka.bootstrap) for kind in (AIOKafkaAdminClient, AIOKafkaProducer))
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "-1"})])  # T0 is long ago
    await admin.close()
    await producer.start()
    for n in range(seconds):
        at = int((T0 + n * SECOND).timestamp() * 1000)
        await producer.send_and_wait(topic, b"{}", b"7", partition=1, timestamp_ms=at)
    await producer.stop()


async def applied(kafka: KafkaServer, group: str, place: TopicPartition, offset: int) -> None:
    """Let a group have come so far."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([place])
    await consumer.commit({place: offset})
    await consumer.stop()


@pytest.mark.parametrize(("committed", "behind", "passed"), [(0, 3, 0), (1, 2, 1), (3, 0, 3)])
async def test_what_a_group_has_not_committed_is_on_its_way(
    kafka: KafkaServer, prefix: str, committed: int, behind: int, passed: int
) -> None:
    topic, group = naming.topic(prefix, "workflow.requests"), naming.group(prefix, "billing")
    await told(kafka, topic, 3)
    await applied(kafka, group, TopicPartition(topic, 1), committed)
    found = await horizon.look({"bootstrap_servers": kafka.bootstrap}, prefix)
    assert found.behind.get(("billing", "workflow.requests"), 0) == behind
    assert found.behind["approvals", "workflow.requests"] == 3, "it has committed nothing at all"
    facts = [replace(FACT, told_at=T0 + n * SECOND) for n in range(3)]
    assert [found.passed("billing", fact) for fact in facts] == [n < passed for n in range(3)]
    assert found.passed("billing", replace(FACT, partition=0)), "nothing was told there"
