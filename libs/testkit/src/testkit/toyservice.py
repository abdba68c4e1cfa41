"""The toy aggregate as a whole service: commands, a read, and a runtime of it without Kafka."""

import json
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid5

import asyncpg
from pydantic import BaseModel, Field, JsonValue
from sqlalchemy import bindparam, select

from chassis import wiring
from chassis.clients import Client, save
from chassis.commands import Caller, Commands
from chassis.database import statement
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.issuer import Issuer
from chassis.paging import Listed
from chassis.problems import Problem
from chassis.service import Runtime, Service
from chassis.settings import ServiceSettings
from contracts.base import Command
from contracts.fields import Line, Mode
from testkit import toy

ISSUER = "http://issuer.test"


class Deposit(Command):
    """Put money into a till. Answer: the till."""

    type: ClassVar[str] = "toy.deposit"
    service: ClassVar[str] = "toy"

    amount: int
    note: Line | None = None
    tags: tuple[Line, ...] = ()
    custom: dict[str, JsonValue] = Field(default_factory=dict)
    mode: Mode = "live"


class Withdraw(Command):
    """Take money out of a till."""

    type: ClassVar[str] = "toy.withdraw"
    service: ClassVar[str] = "toy"

    amount: int


class Rename(Command):
    """Give a till a name that no other has."""

    type: ClassVar[str] = "toy.rename"
    service: ClassVar[str] = "toy"

    name: Line


class Break(Command):
    """Fail, as a fault of ours would."""

    type: ClassVar[str] = "toy.break"
    service: ClassVar[str] = "toy"


class Open(Command):
    """Open a till with something in it."""

    type: ClassVar[str] = "toy.open"
    service: ClassVar[str] = "toy"

    till_id: UUID | None = None
    amount: int = 0
    mode: Mode = "live"


COMMANDS = Commands("toy")


@COMMANDS.on(Open, "POST", "/tills", scope="tills:write", into=toy.TILLS, creates=True, id_field="till_id")
def _open(body: Open, caller: Caller) -> toy.Add:
    return toy.Add(body.amount)


@COMMANDS.on(Deposit, "POST", "/tills/{subject}/deposit", scope="tills:write", into=toy.TILLS)
def _deposit(body: Deposit, caller: Caller) -> toy.Add:
    return toy.Add(body.amount)


@COMMANDS.on(Withdraw, "POST", "/tills/{subject}/withdraw", scope="tills:write", into=toy.TILLS, if_match=True)
def _withdraw(body: Withdraw, caller: Caller) -> toy.Take:
    return toy.Take(body.amount)


@COMMANDS.on(Rename, "POST", "/tills/{subject}/names/{name}", scope="tills:write", into=toy.TILLS)
def _rename(body: Rename, caller: Caller) -> toy.Name:
    return toy.Name(body.name)


@COMMANDS.on(Break, "POST", "/tills/{subject}/break", scope="tills:write", into=toy.TILLS)
def _break(body: Break, caller: Caller) -> toy.Explode:
    return toy.Explode()


class TillView(BaseModel):
    """A till as readers see it."""

    id: UUID
    total: int
    edit_version: int


_ONE = statement(
    select(toy.tills.c.id, toy.tills.c.total, toy.tills.c.edit_version).where(toy.tills.c.id == bindparam("id"))
)
_AFTER = statement(
    select(toy.tills.c.id, toy.tills.c.total, toy.tills.c.edit_version)
    .where(toy.tills.c.id > bindparam("after"))
    .order_by(toy.tills.c.id)
    .limit(bindparam("limit"))
)

ROUTES = Routes("toy")


@ROUTES.get("/tills/{till_id}", scope="tills:read")
async def _one(till_id: UUID, caller: CallerDep, database: DatabaseDep) -> TillView:
    row = await database.fetchrow(_ONE, id=till_id)
    if row is None:
        raise Problem("not-found")
    return TillView(**dict(row))


@ROUTES.get("/tills", scope="tills:read")
async def _all(page: PageDep, database: DatabaseDep) -> Listed[TillView]:
    after = page.after_as(UUID)
    rows = await database.fetch(_AFTER, after=after[0] if after else UUID(int=0), limit=page.fetch)
    return page.of([TillView(**dict(row)) for row in rows], key=lambda row: row.id)


SERVICE = Service(
    name="toy",
    aggregates=(toy.TILLS,),
    commands=COMMANDS,
    routes=ROUTES,
    metadata=toy.metadata,
    migrations="testkit.toymigrations",
)


class ToySettings(ServiceSettings):
    """Nothing of its own."""


def settings(url: str, keys: Path, **more: Any) -> ToySettings:
    """Settings for a runtime in a test; `keys` is a file with the issuer's key set."""
    given: dict[str, Any] = {
        "env": "test",
        "database_url": url,
        "kafka_bootstrap": "127.0.0.1:1",
        "jwks_url": keys.as_uri(),
        "issuer": ISSUER,
        "partitions": toy.PARTITIONS,
    }
    return ToySettings(**(given | more))


def issuer(directory: Path) -> Issuer:
    """An issuer whose key set lies in `directory` as `jwks.json`."""
    found = Issuer(directory, ISSUER)
    (directory / "jwks.json").write_text(json.dumps(found.key_set()), encoding="utf-8")
    return found


def runtime(url: str, keys: Path, **more: Any) -> Runtime:
    """A runtime of the toy service."""
    return wiring.build(SERVICE, settings(url, keys, **more), "api")


async def register(url: str, name: str, *scopes: str, may_act_for_others: bool = False) -> None:
    """Register a client of the toy service."""
    connection = await asyncpg.connect(url)
    try:
        await save(connection, Client(name, frozenset(scopes), may_act_for_others))
    finally:
        await connection.close()


async def employ(url: str, login: str, *roles: str, kind: str = "person", active: bool = True) -> UUID:
    """Let the toy service know a person or a contact."""
    identifier = uuid5(toy.NAMESPACE, login)
    document = json.dumps({"login": login, "active": active, "roles": roles})
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO documents (kind, id, sequence, doc) VALUES ($1, $2, 1, $3) "
            "ON CONFLICT (kind, id) DO UPDATE SET doc = excluded.doc, sequence = documents.sequence + 1",
            kind, str(identifier), document,
        )  # fmt: skip
    finally:
        await connection.close()
    return identifier
