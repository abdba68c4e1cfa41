"""Records on a test's own topics: made, sent and read as services do it, or as badly as somebody else might."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from chassis import naming
from chassis.ids import new_id
from chassis.topics import Topics
from contracts import registry
from contracts.base import Document, Event
from contracts.envelope import Envelope, to_headers

PARTITIONS = 4
Headers = list[tuple[str, bytes | None]]


async def make_topics(bootstrap: str, prefix: str, names: Iterable[str], clients: Sequence[str] = ()) -> None:
    """Make topics of the contract, and the pairs of clients (`<service>/<client>`), under a prefix."""
    wanted = [registry.topic(name) for name in names]
    for pair in clients:
        service, client = pair.split("/")
        wanted += registry.topics_of_client(client, (service,))
    await Topics(prefix, PARTITIONS, bootstrap_servers=bootstrap).apply(wanted)


def headers(
    prefix: str, event: Event | type[Event], subject: UUID | str, sequence: int | None, **other: Any
) -> Headers:
    """The headers of an event as its owner would send it; `other` replaces fields of the envelope."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "source": naming.source(prefix, event.service),
        "type": event.type,
        "version": event.schema_version,
        "time": datetime.now(UTC),
        "subject": str(subject),
        "sequence": sequence,
    }
    return list(to_headers(Envelope(**{**fields, **other})))


def body(event: Event) -> bytes:
    """The value of an event."""
    return orjson.dumps(event.model_dump(mode="json"))


class _Name(bytes):
    """A header's name that is not encoded any more."""

    def encode(self, *_: str) -> bytes:
        return bytes(self)


class Wire:
    """A producer, and readings from the beginning, on the topics of one prefix."""

    def __init__(self, bootstrap: str, prefix: str, **producer: Any) -> None:
        self._bootstrap = bootstrap
        self.prefix = prefix
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4 << 20, **producer)

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def send(
        self, topic: str, key: UUID | bytes | None, value: bytes | None, said: Headers, at: datetime | None = None
    ) -> None:
        """Put one record on a topic, whatever it is; `at` is when it was recorded, else now."""
        encoded = str(key).encode() if isinstance(key, UUID) else key
        millis = None if at is None else int(at.timestamp() * 1000)
        name = naming.topic(self.prefix, topic)
        await self._producer.send_and_wait(name, value, encoded, timestamp_ms=millis, headers=said)

    async def send_as_they_are(
        self, topic: str, records: Sequence[tuple[bytes, bytes, list[tuple[bytes, bytes]]]]
    ) -> None:
        """Put records into one partition whose headers' names are bytes, as another client's library lets one."""
        batch = self._producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, False, -1, -1, -1, 1 << 20)
        for key, value, named in records:
            batch.append(key=key, value=value, timestamp=None, headers=[(_Name(name), each) for name, each in named])
        await (await self._producer.send_batch(batch, naming.topic(self.prefix, topic), partition=0))

    async def tell(self, subject: UUID, sequence: int, event: Event, at: datetime | None = None, **other: Any) -> None:
        """Send a fact as its owner would."""
        said = headers(self.prefix, event, subject, sequence, **other)
        await self.send(event.topic, subject, body(event), said, at)

    async def know(self, sequence: int, *documents: Document) -> None:
        """Tell documents as their owners would, all with the same sequence of their keys."""
        for each in documents:
            said = headers(self.prefix, each, each.key, sequence)
            await self.send(each.topic, each.key.encode(), body(each), said)

    async def read(self, topic: str) -> list[Any]:
        """Every record that is on a topic now, partition by partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            name = naming.topic(self.prefix, topic)
            places = [TopicPartition(name, n) for n in sorted(await self._producer.partitions_for(name))]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends, found = await consumer.end_offsets(places), []
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await consumer.stop()

    async def committed(self, group: str, topic: str) -> int:
        """How many records of a topic a group has committed, over its partitions."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, group_id=naming.group(self.prefix, group), enable_auto_commit=False
        )
        await consumer.start()
        try:
            name = naming.topic(self.prefix, topic)
            places = [TopicPartition(name, n) for n in await self._producer.partitions_for(name)]
            consumer.assign(places)
            return sum([await consumer.committed(place) or 0 for place in places])
        finally:
            await consumer.stop()
