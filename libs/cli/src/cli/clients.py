"""Other systems that may command this installation: registered in each service, with a topic pair each."""

from collections.abc import Sequence

import asyncpg

from chassis.clients import Client, all_clients, save
from chassis.provision import Names
from chassis.topics import Topics
from cli.running.directory import Running
from contracts.registry import SERVICES, topics_of_client


async def register(running: Running, client: Client, by_topic: Sequence[str], *, partitions: int = 12) -> None:
    """Let a client command the services, over HTTP as itself, and by topics those in `by_topic`.

    Registering again changes its rights. Raises ValueError for a name that cannot be a topic's.
    """
    topics = topics_of_client(client.name, tuple(by_topic))
    await Topics(running.prefix, partitions, bootstrap_servers=running.kafka).apply(topics)
    connection = await asyncpg.connect(running.database)
    try:
        for service in SERVICES:
            await connection.execute(
                "SELECT set_config('search_path', $1, false)", Names(service, running.prefix).schema
            )
            await save(connection, client)
    finally:
        await connection.close()


async def registered(running: Running) -> dict[str, list[Client]]:
    """The clients that each service knows."""
    connection = await asyncpg.connect(running.database)
    try:
        found = {}
        for service in SERVICES:
            await connection.execute(
                "SELECT set_config('search_path', $1, false)", Names(service, running.prefix).schema
            )
            found[service] = await all_clients(connection)
        return found
    finally:
        await connection.close()
