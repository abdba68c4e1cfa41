"""The service on a real database: schema as migrated, deciders, documents."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import pytest_asyncio

from chassis import schema
from chassis.asked import Asked, Outcome
from chassis.database import Database
from chassis.decider import Decider
from chassis.decision import SYSTEM, Actor
from chassis.documents import Documents
from chassis.ids import new_id
from chassis.writing import Writer
from workflow.deciders import PEOPLE, QUEUES, REQUESTS, TEAMS
from workflow.handlers import references

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
