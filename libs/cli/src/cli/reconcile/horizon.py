"""How far each service's consumers have come, in time: what was told before that has been applied, or never will be."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis import naming
from cli.reconcile.heard import Heard
from contracts.registry import SERVICES, TOPICS

_NOTHING = datetime.min.replace(tzinfo=UTC)
_EVERYTHING = datetime.max.replace(tzinfo=UTC)
_LOOK_MS = 5_000

Key = tuple[str, str, int]
"""(service, topic, partition)"""


class Horizon:
    """Until when what was told on a partition has been taken in by a service, and how many records it is behind."""

    def __init__(self, until: Mapping[Key, datetime], behind: Mapping[tuple[str, str], int]) -> None:
        self._until = until
        self.behind = behind

    def passed(self, service: str, fact: Heard) -> bool:
        """Whether a service's consumer has gone past a fact. While it is sent things again, nothing is past."""
        if not fact.sent:
            return False
        if fact.teller == service:
            return True
        places = (service, fact.topic, fact.partition), (service, f"{service}.resent", fact.partition)
        return all(fact.since < self._until.get(place, _EVERYTHING) for place in places)


async def look(kafka: Mapping[str, Any], prefix: str) -> Horizon:
    """Read it from the groups' offsets, and from the first record of each partition that is not applied yet."""
    admin, consumer = AIOKafkaAdminClient(**kafka), AIOKafkaConsumer(enable_auto_commit=False, **kafka)
    until: dict[Key, datetime] = {}
    behind: dict[tuple[str, str], int] = {}
    try:
        await admin.start()
        await consumer.start()
        everything = await consumer._client.fetch_all_metadata()
        for service in SERVICES:
            committed = await admin.list_consumer_group_offsets(naming.group(prefix, service))
            for topic in _heard(service):
                name = naming.topic(prefix, topic)
                places = [TopicPartition(name, n) for n in sorted(everything.partitions_for_topic(name) or ())]
                at = {place: committed[place].offset if place in committed else 0 for place in places}
                late = await _late(consumer, at)
                behind[service, topic] = sum(late.values())
                resent = topic == f"{service}.resent"
                for place in late:
                    found = _NOTHING if resent else await _time_of(consumer, place, at[place])
                    until[service, topic, place.partition] = found
    finally:
        await consumer.stop()
        await admin.close()
    return Horizon(until, {key: records for key, records in behind.items() if records})


def _heard(service: str) -> list[str]:
    kinds = {"stream", "resent"}
    return [topic.name for topic in TOPICS if topic.kind in kinds and service in topic.readers]


async def _late(consumer: AIOKafkaConsumer, at: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The partitions with records that are not applied yet, and how many; what retention took is not among them."""
    if not at:
        return {}
    first, ends = await consumer.beginning_offsets(list(at)), await consumer.end_offsets(list(at))
    left = {place: ends[place] - max(offset, first[place]) for place, offset in at.items()}
    return {place: records for place, records in left.items() if records > 0}


async def _time_of(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> datetime:
    """When the record at an offset was told; nothing is passed where that cannot be read."""
    consumer.assign([place])
    consumer.seek(place, max(offset, (await consumer.beginning_offsets([place]))[place]))
    for records in (await consumer.getmany(place, timeout_ms=_LOOK_MS, max_records=1)).values():
        if records:
            return datetime.fromtimestamp(records[0].timestamp / 1000, UTC)
    return _NOTHING
