"""The importer's side of Kafka: commands out, answers and the requests' facts in, as any other system would do it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from chassis import naming
from cli.importing.plan import INTAKE, WORKFLOW, Command
from cli.importing.standing import HEARD
from contracts import envelope

STREAM = "workflow.requests"
SCOPES = "requests:write contacts:write people:write catalogue:write history:write"
"""What the client must be registered for."""
LOOK_BACK_SECONDS = 600
"""How far before the first known answer the requests' facts are read again."""
_RECORDS = 2000


class NotReady(Exception):
    """Kafka is away, or has no topics for this client."""


@dataclass(frozen=True)
class Target:
    """An installation, and the client as whom the importer speaks."""

    client: str
    prefix: str = ""
    kafka: Mapping[str, Any] = field(default_factory=lambda: {"bootstrap_servers": "127.0.0.1:9092"})
    """Options of aiokafka's clients."""

    def topic(self, name: str) -> str:
        """A topic's name at the broker."""
        return naming.topic(self.prefix, name)


class Answer(NamedTuple):
    """What a service said about a command."""

    command: UUID
    refused: str | None
    """The slug of a refusal."""


class Fact(NamedTuple):
    """A fact about a request, as the public stream tells it."""

    type: str
    subject: str
    sequence: int
    time: datetime
    actor: str | None
    data: dict[str, Any]


class Exchange:
    """Sends commands, and reads their answers and the facts that follow."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._producer = AIOKafkaProducer(**target.kafka, enable_idempotence=True, linger_ms=5)
        self._consumer = AIOKafkaConsumer(
            **target.kafka, enable_auto_commit=False, fetch_max_wait_ms=20, max_partition_fetch_bytes=4 << 20
        )
        self._results = {target.topic(f"{service}.results.{target.client}") for service in (INTAKE, WORKFLOW)}
        self._stream = target.topic(STREAM)
        self.failed: list[Command] = []
        """Commands that Kafka did not take; they may be sent again."""

    async def start(self) -> None:
        """Connect; raises NotReady."""
        try:
            await self._producer.start()
            await self._consumer.start()
            topics = (*sorted(self._results), self._stream)
            self._check(topics, await self._consumer.topics())
            self._consumer.assign([p for topic in topics for p in await self._partitions(topic)])
        except KafkaError as error:
            raise NotReady(f"Kafka cannot be used: {error}") from error

    async def close(self) -> None:
        """Disconnect; what was sent is flushed first."""
        await self._producer.stop()
        await self._consumer.stop()

    def _check(self, topics: Iterable[str], there: Iterable[str]) -> None:
        """Raise NotReady when a topic is missing: to ask the broker for one that is not there is no quick failure."""
        if missing := ", ".join(sorted(set(topics) - set(there))):
            client, services = self._target.client, f"{INTAKE},{WORKFLOW}"
            raise NotReady(
                f"there is no topic {missing}. Register the client first:\n"
                f'  throughline clients add {client} --topics {services} --scope "{SCOPES}"'
            )

    async def _partitions(self, topic: str) -> list[TopicPartition]:
        found = await self._producer.partitions_for(topic)
        return [TopicPartition(topic, n) for n in sorted(found)]

    async def earlier(self) -> AsyncIterator[list[Answer]]:
        """Answers that this client was given before now. Then the facts are placed where they belong to those."""
        mine = [p for p in self._consumer.assignment() if p.topic in self._results]
        stream = [p for p in self._consumer.assignment() if p.topic == self._stream]
        self._consumer.pause(*stream)
        await self._consumer.seek_to_beginning(*mine)
        ends = await self._consumer.end_offsets(mine)
        first = time.time() * 1000
        while [p for p in mine if await self._consumer.position(p) < ends[p]]:
            records = await self._poll(*mine)
            first = min([first, *(record.timestamp for record in records)])
            yield [answer for record in records if (answer := _answer(record)) is not None]
        since = int(first) - LOOK_BACK_SECONDS * 1000
        found = await self._consumer.offsets_for_times(dict.fromkeys(stream, since))
        ends = await self._consumer.end_offsets(stream)
        for place in stream:
            at = found.get(place)
            self._consumer.seek(place, at.offset if at is not None else ends[place])
        self._consumer.resume(*stream)

    async def send(self, command: Command) -> None:
        """Hand a command to Kafka; waits only while the producer's buffer is full."""
        topic = self._target.topic(f"{command.service}.commands.{self._target.client}")
        said = envelope.Envelope(
            id=command.id,
            source=f"/{self._target.client}",
            type=command.type,
            version=1,
            time=command.at,
            subject=command.subject,
            sequence=command.sequence,
        )
        sent = await self._producer.send(
            topic, orjson.dumps(command.body), key=command.subject.encode(), headers=envelope.to_headers(said)
        )
        sent.add_done_callback(lambda done: self.failed.append(command) if done.exception() else None)

    async def receive(self) -> tuple[list[Answer], list[Fact]]:
        """What came in since; waits a moment for something."""
        answers: list[Answer] = []
        facts: list[Fact] = []
        for record in await self._poll():
            if record.topic == self._stream:
                if (fact := _fact(record)) is not None:
                    facts.append(fact)
            elif (answer := _answer(record)) is not None:
                answers.append(answer)
        return answers, facts

    async def rest(self) -> AsyncIterator[list[Fact]]:
        """The facts up to where the stream ends now."""
        stream = [p for p in self._consumer.assignment() if p.topic == self._stream]
        ends = await self._consumer.end_offsets(stream)
        while [p for p in stream if await self._consumer.position(p) < ends[p]]:
            yield [fact for record in await self._poll(*stream) if (fact := _fact(record)) is not None]

    async def _poll(self, *places: TopicPartition) -> list[Any]:
        try:
            found = await self._consumer.getmany(*places, timeout_ms=200, max_records=_RECORDS)
        except KafkaError:
            await asyncio.sleep(0.5)
            return []
        return [record for records in found.values() for record in records]


def _headers(headers: Sequence[tuple[str, bytes]], wanted: Iterable[str]) -> dict[str, bytes]:
    return {name: value for name, value in headers if name in wanted}


def _answer(record: Any) -> Answer | None:
    """An answer, told apart by its type alone; anything else on a results topic is nobody's."""
    said = _headers(record.headers, ("ce_type",)).get("ce_type", b"")
    if said == b"throughline.command-accepted.v1":
        return Answer(UUID(orjson.loads(record.value)["command_id"]), None)
    if said == b"throughline.command-refused.v1":
        body = orjson.loads(record.value)
        return Answer(UUID(body["command_id"]), body["problem"]["type"].rpartition("#")[2])
    return None


def _fact(record: Any) -> Fact | None:
    said = _headers(record.headers, ("ce_type", "ce_subject", "ce_sequence", "ce_time", "ce_actor"))
    type_ = said.get("ce_type", b"").decode().rpartition(".v")[0]
    if type_ not in HEARD:
        return None
    return Fact(
        type_,
        said["ce_subject"].decode(),
        int(said["ce_sequence"]),
        datetime.fromisoformat(said["ce_time"].decode()),
        said.get("ce_actor", b"").decode() or None,
        orjson.loads(record.value),
    )
