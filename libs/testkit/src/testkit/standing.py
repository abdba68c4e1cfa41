"""A service as it stands in production, but for Kafka: its migrated schema, its deciders and its HTTP door."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx2

from chassis import http, schema, wiring
from chassis.asked import Asked, Outcome
from chassis.decider import Decider
from chassis.decision import SYSTEM
from chassis.history import history
from chassis.issuer import Issuer
from chassis.service import Runtime, Service
from chassis.settings import ServiceSettings
from contracts.base import Document
from testkit.databases import Databases

ISSUER = "http://issuer.test"
_NAMESPACE = UUID("5f0d4b0a-0a58-5c7c-8a39-0f6d0b3a7c12")


class Standing:
    """One process of a service in a test. Facts of other services are handed in as if heard."""

    def __init__(self, runtime: Runtime, issuer: Issuer) -> None:
        self.runtime = runtime
        self._issuer = issuer
        self._heard: Counter[UUID] = Counter()
        self._documents = 0
        self._app = http.build(runtime)[1]

    def decider(self, aggregate: str) -> Decider[Any]:
        """The decider of an aggregate, by its name."""
        return self.runtime.deciders[aggregate]

    async def know(self, *documents: Document) -> None:
        """Let the service know documents of others."""
        self._documents += 1
        await self.runtime.documents.store(
            [(each.kind, each.key, self._documents, each.model_dump_json()) for each in documents]
        )

    def next(self, subject: UUID, message: Any, stream: str = "workflow.requests") -> Asked:
        """The next fact of another service's stream about a subject, as a message of the domain."""
        self._heard[subject] += 1
        return self.nth(subject, message, self._heard[subject], stream)

    def nth(self, subject: UUID, message: Any, sequence: int, stream: str = "workflow.requests") -> Asked:
        """A fact at a certain position; the same position again is the same event."""
        event = uuid5(_NAMESPACE, f"{stream}/{subject}/{sequence}")
        return Asked(
            subject=subject,
            message=message,
            id=event,
            actor=SYSTEM,
            correlation_id=event,
            stream=stream,
            sequence=sequence,
            record=b"{}",
            headers=[],
        )

    async def hear(self, aggregate: str, subject: UUID, *messages: Any) -> list[Outcome]:
        """Decide facts of another service, in order."""
        return await self.decider(aggregate).handle_batch([self.next(subject, message) for message in messages])

    async def told(self, subject: UUID) -> Sequence[tuple[str, dict[str, Any]]]:
        """What was told about a subject: (type, body) in order."""
        rows = await history(self.runtime.database, subject)
        return [(row["type"], _body(row)) for row in rows if row["topic"] is not None]

    def client(self, login: str, scopes: str) -> httpx2.AsyncClient:
        """An HTTP client with a token of this login; use it as a context."""
        token = self._issuer.token(login, scopes)
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self._app),
            base_url=f"http://{self.runtime.name}/{self.runtime.name}/v1",
            headers={"authorization": f"Bearer {token}"},
        )


def _body(row: Any) -> dict[str, Any]:
    parts = [json.loads(row[name]) for name in ("data", "personal") if row[name]]
    return {name: value for part in parts for name, value in part.items()}


@asynccontextmanager
async def standing(
    service: Service, settings: type[ServiceSettings], databases: Databases, directory: Path
) -> AsyncIterator[Standing]:
    """A service on a database of its own; the schema is migrated once a run and cloned."""

    async def build(url: str) -> None:
        url = url.replace("postgresql://", "postgresql+asyncpg://")
        await asyncio.to_thread(schema.upgrade, service.migrations, url=url, schema="public", role="")

    url = (await databases.template(f"standing {service.name}", build)).url
    issuer = Issuer(directory, ISSUER)
    keys = directory / "jwks.json"
    keys.write_text(json.dumps(issuer.key_set()), encoding="utf-8")
    runtime = wiring.build(service, settings(**_settings(url, keys)), "api")
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
