"""The service on a real database: schema as migrated, deciders, documents."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx2
import pytest_asyncio

from chassis import http, schema, wiring
from chassis.asked import Asked, Outcome
from chassis.database import Database
from chassis.decider import Decider
from chassis.decision import SYSTEM, Actor
from chassis.documents import Documents
from chassis.ids import new_id
from chassis.issuer import Issuer
from chassis.service import Runtime
from chassis.writing import Writer
from workflow.deciders import PEOPLE, QUEUES, REQUESTS, TEAMS
from workflow.handlers import references
from workflow.main import SERVICE, Settings

ISSUER = "http://issuer.test"
SCOPES = "requests:read requests:write catalogue:read catalogue:write people:read people:write"
_ROOT = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9f12")


async def migrated(url: str) -> None:
    """Bring an empty database to this release's schema."""
    asyncpg_url = url.replace("postgresql://", "postgresql+asyncpg://")
    await asyncio.to_thread(schema.upgrade, "workflow.migrations", url=asyncpg_url, schema="public", role="")


@dataclass
class House:
    """Deciders of all aggregates over one database, as one process has them."""

    database: Database
    documents: Documents
    deciders: dict[str, Decider[Any]]
    heard: dict[tuple[str, UUID], int] = field(default_factory=dict)

    async def ask(self, aggregate: str, subject: UUID, message: Any, **more: Any) -> Outcome:
        """A command, as a door hands it in."""
        actor = getattr(message, "actor", SYSTEM)
        identifier = more.pop("id", None) or new_id()
        asked = Asked(subject=subject, message=message, id=identifier, actor=actor, correlation_id=identifier, **more)
        return await self.deciders[aggregate].handle(asked)

    async def hear(self, stream: str, subject: UUID, message: Any) -> Outcome:
        """The next fact of a stream about a request."""
        sequence = self.heard[stream, subject] = self.heard.get((stream, subject), 0) + 1
        identifier = uuid5(_ROOT, f"{stream}/{subject}/{sequence}")
        asked = Asked(
            subject=subject, message=message, id=identifier, actor=Actor("system"), correlation_id=identifier,
            stream=stream, sequence=sequence, record=b"{}", headers=[],
        )  # fmt: skip
        [outcome] = await self.deciders["requests"].handle_batch([asked])
        return outcome


def house_on(database: Database) -> House:
    """A process's deciders on a database."""
    documents = Documents(database, references)
    writer = Writer("workflow", 4, {})
    aggregates = (REQUESTS, PEOPLE, TEAMS, QUEUES)
    return House(database, documents, {each.name: Decider(each, database, documents, writer) for each in aggregates})


@pytest_asyncio.fixture
async def house(fresh_database: Any) -> AsyncIterator[House]:
    """A process on a database of its own."""
    fresh = await fresh_database.template("workflow", migrated)
    database = Database(fresh.url)
    yield house_on(database)
    await database.close()


class Door:
    """The HTTP door of the service, entered with a token per login."""

    def __init__(self, runtime: Runtime, issuer: Issuer) -> None:
        self._issuer = issuer
        self._client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(http.build(runtime)[1], raise_app_exceptions=False), base_url="http://here"
        )

    async def get(self, login: str, path: str, **params: Any) -> httpx2.Response:
        """A read."""
        return await self._client.get(f"/workflow/v1{path}", params=params, headers=self._as(login))

    async def send(self, login: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """A write under a key of its own."""
        sent = {"idempotency-key": str(new_id()), **self._as(login), **headers}
        return await self._client.request(method, f"/workflow/v1{path}", json=body or {}, headers=sent)

    async def close(self) -> None:
        """Let go of the connection pool."""
        await self._client.aclose()

    def _as(self, login: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._issuer.token(login, SCOPES)}"}


@pytest_asyncio.fixture
async def door(fresh_database: Any, tmp_path: Path) -> AsyncIterator[tuple[Door, House]]:
    """The door, and the deciders behind it, of one process."""
    fresh = await fresh_database.template("workflow", migrated)
    issuer = Issuer(tmp_path, ISSUER)
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(issuer.key_set()), encoding="utf-8")
    settings = Settings(
        env="test", database_url=fresh.url, kafka_bootstrap="127.0.0.1:1", jwks_url=keys.as_uri(), issuer=ISSUER,
        partitions=4,
    )  # fmt: skip
    runtime = wiring.build(SERVICE, settings, "api")
    found = Door(runtime, issuer)
    yield found, House(runtime.database, runtime.documents, dict(runtime.deciders))
    await found.close()
    await runtime.database.close()
