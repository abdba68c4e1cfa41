"""The demo's other system: a registered client that commands on its own topics and reads its answers there."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis import naming
from chassis.clock import utc_now
from cli.demo.organisation import NAMESPACE
from cli.door import Refused, Unanswered
from contracts.base import Command
from contracts.envelope import BadEnvelope, Envelope, from_headers, to_headers
from contracts.registry import commands_topic, results_topic

NAME = "crm"
SERVICES = ("intake", "workflow", "billing")
"""Whom it commands."""
_PATIENCE = 90.0
_AGAIN_AFTER = 5.0


class Crm:
    """Sends commands and waits for their answers; a command without an answer is sent again under the same id."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._waiting: dict[UUID, asyncio.Future[dict[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, when a broker answers; answers are read from here on. Raises KafkaError after a while."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return await self._connect()
            except KafkaError:
                await self.stop()
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.5)

    async def _connect(self) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", request_timeout_ms=10_000)
        topics = [naming.topic(self._prefix, results_topic(service, NAME)) for service in SERVICES]
        self._consumer = AIOKafkaConsumer(*topics, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        await self._producer.start()
        await self._consumer.start()
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            self._reader.cancel()
        for end in (self._producer, self._consumer):
            if end is not None:
                await end.stop()

    async def command(self, kind: type[Command], subject: UUID, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Ask for something about a request, and return the service's answer. Raises Refused and Unanswered."""
        command = uuid5(NAMESPACE, key)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[command] = future
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        try:
            while asyncio.get_running_loop().time() < deadline:
                await self._send(kind, command, subject, body)
                done, _ = await asyncio.wait({future}, timeout=_AGAIN_AFTER)
                if done:
                    return _taken(future.result())
            raise Unanswered(f"{kind.type} {command} on the inbound topic")
        finally:
            self._waiting.pop(command, None)

    async def _send(self, kind: type[Command], command: UUID, subject: UUID, body: Mapping[str, Any]) -> None:
        assert self._producer is not None
        said = Envelope(id=command, source=f"/{NAME}", type=kind.type, version=1, time=utc_now(), subject=str(subject))
        topic = naming.topic(self._prefix, commands_topic(kind.service, NAME))
        try:
            await self._producer.send_and_wait(
                topic, orjson.dumps(body), key=str(subject).encode(), headers=to_headers(said)
            )
        except KafkaError:
            return  # sent again until it is answered

    async def _read(self) -> None:
        assert self._consumer is not None
        while True:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    self._heard(record)

    def _heard(self, record: Any) -> None:
        try:
            envelope = from_headers(record.headers)
        except BadEnvelope:
            return
        answer = {**orjson.loads(record.value), "refused": envelope.type == "throughline.command-refused"}
        future = self._waiting.get(UUID(answer["command_id"]))
        if future is not None and not future.done():
            future.set_result(answer)


def _taken(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["refused"]:
        problem = answer["problem"]
        raise Refused(int(problem["status"]), problem)
    taken: dict[str, Any] = answer["answer"]
    return taken
