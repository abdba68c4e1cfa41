"""Records delivered up to three times: copies of what is told come seconds later, behind newer ones of the same key."""

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis import naming
from cli.demo.crm import NAME, SERVICES
from cli.reconcile.reading import STREAMS
from contracts.registry import commands_topic
from testkit.chaos.faults import Fault
from testkit.chaos.site import Site

MOST_COPIES: Final = 2
AFTER: Final = (1.0, 5.0)
"""Seconds after which a copy comes, at the least and at the most."""
_LARGEST: Final = 4 << 20
_ENDED_WITHIN: Final = 60.0


class Record(Protocol):
    """A record as it lies at its place."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: Any
    value: Any
    headers: Sequence[tuple[str, bytes]]


class Copies:
    """Which records are sent again, and when; what has become of it. No clock and no broker."""

    def __init__(self, chance: Random, after: tuple[float, float] = AFTER) -> None:
        self._chance = chance
        self._after = after
        self._due: list[tuple[float, int, Record]] = []
        self._turn = count()
        self._known: set[int] = set()
        self._first: dict[tuple[str, int, Any], list[int]] = {}
        self._accepted: list[tuple[Record, int]] = []
        self.ended = False
        """Whether nothing more is to be copied; what is to come still comes."""

    def see(self, record: Record, now: float) -> None:
        """One that was read. A copy, whoever sent it, is none of the first and is not copied again."""
        said = hash((record.topic, record.partition, record.key, record.value, tuple(record.headers)))
        if said in self._known:
            return
        self._known.add(said)
        self._first.setdefault((record.topic, record.partition, record.key), []).append(record.offset)
        if not self.ended:
            for _ in range(self._chance.randint(0, MOST_COPIES)):
                heapq.heappush(self._due, (now + self._chance.uniform(*self._after), next(self._turn), record))

    @property
    def waiting(self) -> int:
        """How many are still to come."""
        return len(self._due)

    def due(self, now: float) -> list[Record]:
        """Those whose time has come, each once."""
        found = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[2])
        return found

    def accepted(self, record: Record, offset: int) -> None:
        """A copy lies at that place of its partition."""
        self._accepted.append((record, offset))

    @property
    def behind(self) -> int:
        """How many copies lie behind a newer record of the same key."""
        return sum(self._is_behind(record, offset) for record, offset in self._accepted)

    def _is_behind(self, record: Record, offset: int) -> bool:
        first = self._first[record.topic, record.partition, record.key]
        return any(record.offset < other < offset for other in first)

    @property
    def proof(self) -> str:
        """What Kafka took; empty unless a copy came behind a newer record."""
        records = {(record.topic, record.partition, record.offset) for record, _ in self._accepted}
        if not self.behind:
            return ""
        return f"{len(self._accepted)} copies of {len(records)} records, {self.behind} behind a newer one of their key"


class Repeated(Fault):
    """Every record of the streams and of clients' commands comes up to twice more, as it was: key, headers, time."""

    def __init__(self, site: Site, chance: Random) -> None:
        self.name = "copies of records, late"
        self._bootstrap = site.bootstrap
        commands = (commands_topic(service, NAME) for service in SERVICES)
        self._topics = [naming.topic(site.prefix, topic) for topic in (*STREAMS, *commands)]
        self._copies = Copies(chance)
        self._consumer: AIOKafkaConsumer | None = None
        self._producer: AIOKafkaProducer | None = None
        self._copying: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        """Return once whatever is told from now on is read."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", max_request_size=_LARGEST, linger_ms=5
        )
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=_LARGEST
        )
        await self._producer.start()
        await self._consumer.start()
        everything = await self._consumer._client.fetch_all_metadata()
        places = [
            TopicPartition(topic, n) for topic in self._topics for n in everything.partitions_for_topic(topic) or ()
        ]
        self._consumer.assign(places)
        for place, end in (await self._consumer.end_offsets(places)).items():
            self._consumer.seek(place, end)
        self._copying = asyncio.create_task(self._copy(self._consumer, self._producer))

    async def _copy(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        clock = asyncio.get_running_loop().time
        while not self._copies.ended or self._copies.waiting:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    self._copies.see(record, clock())
            await asyncio.gather(*(self._send(producer, record) for record in self._copies.due(clock())))

    async def _send(self, producer: AIOKafkaProducer, record: Record) -> None:
        sent = await producer.send_and_wait(
            record.topic, record.value, record.key, record.partition, record.timestamp, list(record.headers)
        )
        self._copies.accepted(record, sent.offset)

    async def heal(self) -> None:
        """Return when the last copy has come."""
        self._copies.ended = True
        try:
            if self._copying is not None:
                await asyncio.wait_for(self._copying, _ENDED_WITHIN)
                self.proof = self._copies.proof
        finally:
            for end in (self._consumer, self._producer):
                if end is not None:
                    await end.stop()
