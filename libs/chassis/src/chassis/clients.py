"""Registered clients: other systems that may command a service, over HTTP as themselves or by a topic of their own."""

import time
from dataclasses import dataclass
from uuid import UUID, uuid5

import asyncpg

from chassis.database import Database
from chassis.decision import Actor

_IDS = UUID("5f4a2f0e-6c0b-5d0e-8f38-1d9b8a0a7c11")
_ONE = "SELECT name, scopes, may_act_for_others FROM clients WHERE name = $1 AND active"
_ALL = "SELECT name, scopes, may_act_for_others, active FROM clients ORDER BY name"
_SAVE = """
INSERT INTO clients (name, scopes, may_act_for_others, active, changed_at) VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET scopes = excluded.scopes, may_act_for_others = excluded.may_act_for_others,
    active = excluded.active, changed_at = excluded.changed_at
"""
_REMEMBER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Client:
    """One registered client: what it may do here, and whether it may name another actor."""

    name: str
    scopes: frozenset[str]
    may_act_for_others: bool = False
    active: bool = True

    @property
    def actor(self) -> Actor:
        """The client as itself."""
        return Actor("client", client_id(self.name), self.scopes)


def client_id(name: str) -> UUID:
    """The id under which a client appears as an actor."""
    return uuid5(_IDS, name)


class Clients:
    """The clients of one service, remembered for at most 2 s."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, tuple[float, Client | None]] = {}

    async def get(self, name: str) -> Client | None:
        """The active client of this name, or None."""
        found = self._seen.get(name)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        rows = await self._database.read(_ONE, name)
        client = Client(rows[0][0], frozenset(rows[0][1]), rows[0][2]) if rows else None
        if len(self._seen) > 10_000:
            self._seen.clear()
        self._seen[name] = (time.monotonic() + (_REMEMBER_SECONDS if client else 1.0), client)
        return client


async def all_clients(connection: asyncpg.Connection) -> list[Client]:
    """Every client of the schema that the connection is in."""
    return [Client(name, frozenset(scopes), acts, on) for name, scopes, acts, on in await connection.fetch(_ALL)]


async def save(connection: asyncpg.Connection, client: Client) -> None:
    """Register a client in the schema that the connection is in, or change it; known everywhere within 5 s."""
    await connection.execute(_SAVE, client.name, sorted(client.scopes), client.may_act_for_others, client.active)
