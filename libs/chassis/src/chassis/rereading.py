"""Topics read back: what stands on them since a moment, up to where they ended when asked. No group is joined."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis import naming


class Rereader:
    """A consumer without a group over one installation's topics. Topics are named without prefix."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str) -> None:
        self._consumer = consumer
        self._prefix = prefix

    async def places(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of these topics; a topic that is not there has none."""
        everything = await self._consumer._client.fetch_all_metadata()
        names = [naming.topic(self._prefix, topic) for topic in topics]
        return [
            TopicPartition(name, number)
            for name in names
            for number in sorted(everything.partitions_for_topic(name) or ())
        ]

    async def beginning_with(self, start: str) -> list[str]:
        """The topics of this installation whose names begin so."""
        found = (naming.plain(self._prefix, name) for name in await self._consumer.topics())
        return sorted(name for name in found if name.startswith(start))

    async def since(self, places: Sequence[TopicPartition], moment: datetime | None) -> Mapping[TopicPartition, int]:
        """The offset of the first record told at `moment` or later: the end where there is none, None is the start."""
        if not places:
            return {}
        if moment is None:
            return dict(await self._consumer.beginning_offsets(list(places)))
        ends = await self._consumer.end_offsets(list(places))
        millis = max(0, int(moment.timestamp() * 1000))
        found = await self._consumer.offsets_for_times(dict.fromkeys(places, millis))
        return {place: at.offset if (at := found.get(place)) is not None else ends[place] for place in places}

    async def records(self, places: Sequence[TopicPartition], moment: datetime | None) -> AsyncIterator[Any]:
        """The records of these partitions since then, each partition's in order."""
        async for record in self.between(await self.since(places, moment), await self.ends(places)):
            yield record

    async def ends(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offsets behind the last records of these partitions."""
        return dict(await self._consumer.end_offsets(list(places))) if places else {}

    async def between(
        self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AsyncIterator[Any]:
        """The records from one offset of each partition up to another, each partition's in order."""
        consumer = self._consumer
        left = {place for place in begins if begins[place] < ends[place]}
        if not left:
            return
        consumer.assign(sorted(left))
        for place in left:
            consumer.seek(place, begins[place])
        while left:
            for place, records in (await consumer.getmany(*left, timeout_ms=500)).items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            left = {place for place in left if await consumer.position(place) < ends[place]}


@asynccontextmanager
async def rereading(prefix: str, kafka: Mapping[str, Any]) -> AsyncIterator[Rereader]:
    """A reader for as long as the block runs."""
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False, fetch_max_wait_ms=20, max_partition_fetch_bytes=8 << 20, **kafka
    )
    await consumer.start()
    try:
        yield Rereader(consumer, prefix)
    finally:
        await consumer.stop()
