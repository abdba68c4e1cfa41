"""Everything is delivered once more when both groups of a service are at their beginnings again: facts and commands."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from testkit.chaos.operators import Rewound
from testkit.plugin import KafkaServer


class Worker:
    """A process that can be stopped, and that a supervisor starts again."""

    def __init__(self) -> None:
        self.child = self
        self.wanted = True
        self.did: list[str] = []

    def stop(self) -> None:
        self.did.append("stopped")

    def start(self, _: Any) -> None:
        self.did.append("started")


def site_of(kafka: KafkaServer, prefix: str, worker: Worker) -> Any:
    watch = SimpleNamespace(processes={"billing-worker": worker}, start=worker.start)
    return SimpleNamespace(bootstrap=kafka.bootstrap, prefix=prefix, watch=watch)


async def committed(kafka: KafkaServer, group: str) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        return {place: at.offset for place, at in (await admin.list_consumer_group_offsets(group)).items()}
    finally:
        await admin.close()


async def read(kafka: KafkaServer, group: str, offset: int) -> TopicPartition:
    """Let a group have read so far on a topic of its own."""
    place = TopicPartition(f"{group}.topic", 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(place.topic, 1, 1)])
    await admin.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([place])
    await consumer.commit({place: offset})
    await consumer.stop()
    return place


@pytest.mark.parametrize(
    ("facts", "commands", "proof"),
    [(7, 3, "7 records and 3 commands come again"), (7, 0, "7 records and 0 commands come again"), (0, 3, "")],
)
async def test_both_groups_of_a_service_begin_anew(
    kafka: KafkaServer, prefix: str, facts: int, commands: int, proof: str
) -> None:
    worker = Worker()
    groups = {f"{prefix}.billing": facts, f"{prefix}.billing.commands": commands}
    places = {group: await read(kafka, group, offset) for group, offset in groups.items() if offset}
    fault = Rewound(site_of(kafka, prefix, worker), "billing")
    await fault.strike()
    assert fault.proof == proof
    assert worker.did == ["stopped", "started"]
    for group, place in places.items():
        assert await committed(kafka, group) == {place: 0}
