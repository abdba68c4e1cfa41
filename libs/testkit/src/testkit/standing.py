"""A service as it stands in production: its migrated schema, its deciders, its HTTP door; with Kafka if wanted."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import httpx2

from chassis import door, inbound, naming, relay, schema, stream, timers, wiring
from chassis.asked import Asked, Outcome
from chassis.clients import Client
from chassis.clock import utc_now
from chassis.decider import Decider
from chassis.decision import SYSTEM
from chassis.history import history
from chassis.ids import new_id
from chassis.issuer import Issuer
from chassis.partition import partition_of
from chassis.service import Runtime, Service
from chassis.settings import ServiceSettings
from chassis.stream import ear_of
from contracts.base import Command, Document, Event, Message
from contracts.envelope import Envelope, Headers, to_headers
from testkit.databases import Databases
from testkit.described import as_described

ISSUER = "http://issuer.test"
_NAMESPACE = UUID("5f0d4b0a-0a58-5c7c-8a39-0f6d0b3a7c12")


@asynccontextmanager
async def at_work(runtime: Runtime) -> AsyncIterator[None]:
    """Worker, relay and timers of a runtime that was given a Kafka, drained at the end."""
    tasks = [asyncio.create_task(role(runtime)) for role in (stream.run, relay.run, timers.run)]
    try:
        yield
    finally:
        runtime.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)


class Record(NamedTuple):
    """A record as the consumer hands it out."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    partition: int = 0
    offset: int = 0


class Standing:
    """One process of a service in a test. Facts and commands are decoded and decided as if consumed."""

    def __init__(self, runtime: Runtime, issuer: Issuer) -> None:
        self.runtime = runtime
        self._issuer = issuer
        self._heard: Counter[UUID] = Counter()
        self._documents = 0
        self._ear = ear_of(runtime)
        described, self._app = door.build(runtime)
        self._check = as_described(described)

    def decider(self, aggregate: str) -> Decider[Any]:
        """The decider of an aggregate, by its name."""
        return self.runtime.deciders[aggregate]

    async def know(self, *documents: Document) -> None:
        """Let the service know documents of others."""
        self._documents += 1
        await self.runtime.documents.store(
            [(each.kind, each.key, self._documents, each.model_dump_json()) for each in documents]
        )

    def next(self, subject: UUID, event: Event) -> Asked:
        """The next fact of another service about a subject, decoded as its record would be."""
        self._heard[subject] += 1
        return self.nth(subject, event, self._heard[subject])

    def nth(self, subject: UUID, event: Any, sequence: int, heard_on: str | None = None) -> Asked:
        """A fact at a certain position; the same position again is the same event.

        With `heard_on`, `event` is a message of the domain already, heard on that stream.
        """
        if heard_on is not None:
            return _as_heard(subject, event, sequence, heard_on)
        said = self._envelope(naming.source(self.runtime.prefix, event.service), event, subject)
        said.id, said.sequence = uuid5(_NAMESPACE, f"{event.topic}/{subject}/{sequence}"), sequence
        key, partitions = str(subject).encode(), self.runtime.settings.partitions
        place = partition_of(key, partitions), subject.int % 2**40 + sequence
        found = self._ear.decode(Record(event.topic, key, _bytes(event), to_headers(said), *place))
        assert isinstance(found, Asked), found
        return found

    async def hear(self, subject: UUID, *events: Event) -> list[Outcome]:
        """Decide facts of another service, in order."""
        heard = self.runtime.service.stream
        assert heard is not None
        batch = [self.next(subject, event) for event in events]
        return await self.decider(heard.into.name).handle_batch(batch)

    async def command(self, client: Client, subject: UUID, command: Command, *, may_wait: bool = False) -> Outcome:
        """A command on a client's topic, decoded and decided; with `may_wait` it waits for what is unknown here."""
        said = self._envelope(f"/{client.name}", command, subject)
        commands = self.runtime.service.commands
        key, headers = str(subject).encode(), list[tuple[str, bytes | None]](to_headers(said))
        found = inbound.inbound(
            commands, client.name, client, headers, key, command.model_dump_json(exclude_unset=True).encode()
        )
        if isinstance(found, inbound.RefusedCommand):
            return Outcome(subject, refused=found.refused)
        assert isinstance(found, inbound.Arrived), found
        if may_wait:
            found.asked.record, found.asked.headers = command.model_dump_json(exclude_unset=True).encode(), headers
        [outcome] = await self.decider(found.declared.into.name).handle_batch([found.asked])
        return outcome

    @staticmethod
    def _envelope(source: str, message: Message, subject: UUID) -> Envelope:
        return Envelope(
            id=new_id(),
            source=source,
            type=message.type,
            version=message.schema_version,
            time=utc_now(),
            subject=str(subject),
        )

    async def told(self, subject: UUID) -> Sequence[tuple[str, dict[str, Any]]]:
        """What was told about a subject on the service's stream: (type, body) in order."""
        rows = await history(self.runtime.database, subject)
        return [(row["type"], _body(row)) for row in rows if row["topic"] and ".results." not in row["topic"]]

    def client(self, login: str, scopes: str) -> httpx2.AsyncClient:
        """An HTTP client with a token of this login; use it as a context. It checks each answer's description."""
        token = self._issuer.token(login, scopes)
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self._app),
            base_url=f"http://{self.runtime.name}/{self.runtime.name}/v1",
            headers={"authorization": f"Bearer {token}"},
            event_hooks={"response": [self._check]},
        )


def _as_heard(subject: UUID, message: Any, sequence: int, heard_on: str) -> Asked:
    event = uuid5(_NAMESPACE, f"{heard_on}/{subject}/{sequence}")
    return Asked(
        subject=subject,
        message=message,
        id=event,
        actor=SYSTEM,
        correlation_id=event,
        stream=heard_on,
        sequence=sequence,
        record=b"{}",
        headers=[],
    )


def _bytes(message: Message) -> bytes:
    return message.model_dump_json().encode()


def _body(row: Any) -> dict[str, Any]:
    parts = [json.loads(row[name]) for name in ("data", "personal") if row[name]]
    return {name: value for part in parts for name, value in part.items()}


@asynccontextmanager
async def standing(
    service: Service, settings: type[ServiceSettings], databases: Databases, directory: Path, **more: Any
) -> AsyncIterator[Standing]:
    """A service on a database of its own; the schema is migrated once a run and cloned. `more` are settings."""

    async def build(url: str) -> None:
        url = url.replace("postgresql://", "postgresql+asyncpg://")
        await asyncio.to_thread(schema.upgrade, service.migrations, url=url, schema="public", role="")

    kind = f"{service.name} {service.migrations}"  # a toy may bear a real service's name
    url = (await databases.template(f"standing {kind}", build)).url
    issuer = Issuer(directory, ISSUER)
    keys = directory / "jwks.json"
    keys.write_text(json.dumps(issuer.key_set()), encoding="utf-8")
    runtime = wiring.build(service, settings(**{**_settings(url, keys), **more}), "api")
    try:
        yield Standing(runtime, issuer)
    finally:
        await runtime.wakeup.close()
        await runtime.database.close()


def _settings(url: str, keys: Path) -> dict[str, Any]:
    return {
        "env": "test",
        "database_url": url,
        "kafka_bootstrap": "127.0.0.1:1",
        "jwks_url": keys.as_uri(),
        "issuer": ISSUER,
    }
