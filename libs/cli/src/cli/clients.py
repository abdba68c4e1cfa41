"""Other systems that may command this installation: registered in each service, with a topic pair each."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg

from chassis.clients import Client, all_clients, save
from chassis.provision import Names
from chassis.topics import Topics
from contracts.registry import SERVICES, topics_of_client


class Where(Protocol):
    """An installation, as its administrator reaches it."""

    prefix: str

    def kafka_options(self) -> Mapping[str, Any]:
        """What aiokafka's clients need to connect."""

    def administrator(self) -> str:
        """The database's address as an administrator."""


async def register(where: Where, client: Client, by_topic: Sequence[str], *, partitions: int = 12) -> None:
    """Let a client command the services, over HTTP as itself, and by topics those in `by_topic`.

    Registering again changes its rights. Raises ValueError for a name that cannot be a topic's.
    """
    topics = topics_of_client(client.name, tuple(by_topic))
    await Topics(where.prefix, partitions, **where.kafka_options()).apply(topics)
    async with schemas(where) as visits:
        async for _, connection in visits:
            await save(connection, client)


async def registered(where: Where) -> dict[str, list[Client]]:
    """The clients that each service knows."""
    async with schemas(where) as visits:
        return {service: await all_clients(connection) async for service, connection in visits}


@asynccontextmanager
async def schemas(where: Where) -> AsyncIterator[AsyncIterator[tuple[str, asyncpg.Connection]]]:
    """An administrator's connection that goes through every service's schema, one after the other."""
    connection = await asyncpg.connect(where.administrator())

    async def visits() -> AsyncIterator[tuple[str, asyncpg.Connection]]:
        for service in SERVICES:
            schema = Names(service, where.prefix).schema
            await connection.execute("SELECT set_config('search_path', $1, false)", schema)
            yield service, connection

    try:
        yield visits()
    finally:
        await connection.close()
