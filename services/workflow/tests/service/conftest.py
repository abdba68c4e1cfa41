"""The service as it stands: its migrated schema, its deciders, its HTTP door, and what other services tell it."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest_asyncio

from chassis.asked import Asked, Outcome
from chassis.database import Database
from chassis.decision import SYSTEM
from chassis.erasing import Eraser
from chassis.ids import new_id
from testkit.standing import Standing, standing
from workflow.main import SERVICE, Settings

SCOPES = "requests:read requests:write catalogue:read catalogue:write people:read people:write"


class House:
    """One process of the service, with what a test asks of it."""

    def __init__(self, process: Standing) -> None:
        self._process = process
        self._heard: Counter[tuple[str, UUID]] = Counter()

    @property
    def database(self) -> Database:
        """Its schema."""
        return self._process.runtime.database

    async def erase(self, contact: UUID) -> list[int]:
        """Let a contact's document end, and look for tombstones twice; how many were carried out each time."""
        runtime = self._process.runtime
        await runtime.documents.store([("contact", str(contact), 1, None)])
        eraser = Eraser(runtime.database, runtime.deciders)
        return [await eraser.step(), await eraser.step()]

    async def know(self, *documents: Any) -> None:
        """Let it know documents of other services."""
        await self._process.know(*documents)

    async def ask(self, aggregate: str, subject: UUID, message: Any, *, expect: int | None = None) -> Outcome:
        """A message, as a door hands it in."""
        identifier = new_id()
        asked = Asked(
            subject=subject,
            message=message,
            id=identifier,
            actor=getattr(message, "actor", SYSTEM),
            correlation_id=identifier,
            expect=expect,
        )
        return await self._process.decider(aggregate).handle(asked)

    async def hear(self, stream: str, subject: UUID, message: Any, *, again: bool = False) -> Outcome:
        """The next fact of a stream about a request, or the last one once more."""
        self._heard[stream, subject] += not again
        heard = self._process.nth(subject, message, self._heard[stream, subject], stream)
        [outcome] = await self._process.decider("requests").handle_batch([heard])
        return outcome

    async def get(self, login: str, path: str, **params: Any) -> httpx2.Response:
        """A read over HTTP."""
        async with self._process.client(login, SCOPES) as client:
            return await client.get(path.removeprefix("/"), params=params)

    async def send(self, login: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """A write over HTTP under a key of its own."""
        async with self._process.client(login, SCOPES) as client:
            sent = {"idempotency-key": str(new_id()), **headers}
            return await client.request(method, path.removeprefix("/"), json=body or {}, headers=sent)


@pytest_asyncio.fixture
async def house(fresh_database: Any, tmp_path: Path) -> AsyncIterator[House]:
    """The service on a database of its own."""
    async with standing(SERVICE, Settings, fresh_database, tmp_path) as process:
        yield House(process)
