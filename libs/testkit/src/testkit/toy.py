"""A small aggregate with everything a decider can be asked: the subject of the chassis's own tests."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid5

import asyncpg
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, Uuid
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable

from chassis.aggregate import Aggregate, Child
from chassis.asked import Asked
from chassis.database import Database
from chassis.decider import Decider
from chassis.decision import SYSTEM, Draw, Known, Refused, TimerDue, Unknown, record
from chassis.documents import Documents
from chassis.ids import new_id
from chassis.journal import Codec
from chassis.migration import install
from chassis.tables import aggregate_table
from chassis.writing import Writer
from contracts.base import Event

NAMESPACE = UUID("5f0d4b0a-0a58-5c7c-8a39-0f6d0b3a7c11")


@record
class Till:
    """A till: what is in it, its receipts, when it must be counted."""

    total: int
    added: int
    names: tuple[str, ...] = ()
    count_at: datetime | None = None
    counted: int = 0


@record
class Add:
    amount: int


@record
class Take:
    amount: int


@record
class Name:
    name: str


@record
class Unname:
    name: str


@record
class Receipt:
    pass


@record
class CountAt:
    at: datetime


@record
class Forward:
    to: UUID
    amount: int


@record
class Explode:
    times: int = 10**9


@record
class Added:
    amount: int
    total: int


@record
class Named:
    name: str
    given: bool


@record
class Receipted:
    number: str | Draw


@record
class CountSet:
    at: datetime


@record
class Counted:
    total: int
    due_at: datetime


@record
class Forwarded:
    to: UUID
    amount: int


class TillChanged(Event):
    """A till's total moved."""

    type: ClassVar[str] = "toy.till-changed"
    topic: ClassVar[str] = "toy.tills"
    service: ClassVar[str] = "toy"
    readers: ClassVar[tuple[str, ...]] = ("toy",)

    amount: int
    total: int


class TillCounted(Event):
    """A till was counted when it was due."""

    type: ClassVar[str] = "toy.till-counted"
    topic: ClassVar[str] = "toy.tills"
    service: ClassVar[str] = "toy"
    readers: ClassVar[tuple[str, ...]] = ("toy",)

    total: int
    due_at: datetime


class NotEnough(Refused):
    """There is less in the till than was asked for."""

    slug = "not-enough"


class NameTaken(Refused):
    """Another till has this name."""

    slug = "name-taken"


class NoSuchTill(Unknown):
    """This till is not here (yet)."""

    slug = "no-such-till"


explosions: dict[UUID, int] = {}
"""How often `Explode` has failed, by the id it was first decided for; lets a test mend what was broken."""


def decide(state: Till | None, message: Any, now: datetime, known: Known) -> Sequence[Any]:
    """Everything the toy can be asked."""
    match message:
        case Add(amount):
            return [Added(amount, (state.total if state else 0) + amount)]
        case _ if state is None:
            raise NoSuchTill("no till")
        case Take(amount):
            if state.total < amount:
                raise NotEnough(f"{state.total} is less than {amount}", total=state.total)
            return [Added(-amount, state.total - amount)]
        case Name(name):
            if known.holder(f"name:{name}") is not None:
                raise NameTaken(name)
            return [Named(name, True)]
        case Unname(name):
            return [Named(name, False)]
        case Receipt():
            return [Receipted(Draw("receipts", "T-{:04d}"))]
        case CountAt(at):
            return [CountSet(at)]
        case TimerDue(_, _, due_at):
            return [Counted(state.total, due_at)]
        case Forward(to, amount):
            return [Added(-amount, state.total - amount), Forwarded(to, amount)]
        case Explode(times):
            key = known.new_id()
            explosions[key] = explosions.get(key, 0) + 1
            if explosions[key] <= times:
                raise ZeroDivisionError("planted")
            return [Added(0, state.total)]
    raise AssertionError(message)


def evolve(state: Till | None, fact: Any) -> Till:
    """The till after a fact."""
    was = state or Till(0, 0)
    match fact:
        case Added(amount):
            return Till(was.total + amount, was.added + 1, was.names, was.count_at, was.counted)
        case Named(name, True):
            return Till(was.total, was.added, (*was.names, name), was.count_at, was.counted)
        case Named(name, False):
            return Till(was.total, was.added, tuple(n for n in was.names if n != name), was.count_at, was.counted)
        case Receipted(number):
            return Till(was.total, was.added, (*was.names, f"#{number}"), was.count_at, was.counted)
        case CountSet(at):
            return Till(was.total, was.added, was.names, at, was.counted)
        case Counted():
            return Till(was.total, was.added, was.names, None, was.counted + 1)
    return was


CODEC = Codec()
CODEC.told(Added, TillChanged)
CODEC.told(Counted, TillCounted)
CODEC.noted(Named, "toy.named")
CODEC.noted(Receipted, "toy.receipted")
CODEC.noted(CountSet, "toy.count-set")
CODEC.noted(Forwarded, "toy.forwarded")

metadata = MetaData()
tills = aggregate_table(metadata, "tills", Column("total", BigInteger), Column("count_at", DateTime(timezone=True)))
receipts = Table("receipts", metadata, Column("number", Text, primary_key=True), Column("till", Uuid, nullable=False))

TILLS: Aggregate[Till] = Aggregate(
    name="tills",
    table=tills,
    state=Till,
    shape=1,
    codec=CODEC,
    decide=decide,
    evolve=evolve,
    answer=lambda subject, state, facts: {"id": str(subject), "total": state.total, "names": list(state.names)},
    agenda=lambda state: {("count", "-"): state.count_at} if state.count_at else {},
    react=lambda subject, state, fact: [(fact.to, Add(fact.amount))] if isinstance(fact, Forwarded) else [],
    claims=lambda state: [f"name:{name}" for name in state.names if not name.startswith("#")],
    columns=lambda state: {"total": state.total, "count_at": state.count_at},
    children=lambda subject, state, fact, now: (
        [Child(receipts, {"number": str(fact.number), "till": subject})] if isinstance(fact, Receipted) else []
    ),
    messages=(Add,),
    edits=frozenset({Added}),
)
CLASSES = {f"tills.{message.__name__}": message for message in TILLS.messages}
PARTITIONS = 4


async def create(url: str) -> None:
    """Make the chassis's tables and the toy's in an empty database."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    statements: list[str] = []
    install(type("Op", (), {"execute": staticmethod(statements.append)}))
    statements += [str(CreateTable(table).compile(engine.sync_engine)) for table in metadata.sorted_tables]
    await engine.dispose()
    connection = await asyncpg.connect(url)
    try:
        for text in statements:
            await connection.execute(text)
    finally:
        await connection.close()


def decider(database: Database, **more: Any) -> Decider[Till]:
    """The toy's decider on a database that `create` has prepared."""
    return Decider(TILLS, database, Documents(database), Writer("toy", PARTITIONS, CLASSES), **more)


def asked(subject: UUID, message: Any, **more: Any) -> Asked:
    """A message as an edge would hand it in."""
    identifier = more.pop("id", None) or new_id()
    return Asked(
        subject=subject,
        message=message,
        id=identifier,
        actor=more.pop("actor", SYSTEM),
        correlation_id=identifier,
        **more,
    )


def heard(subject: UUID, message: Any, sequence: int, stream: str = "other.things", **more: Any) -> Asked:
    """A fact heard from another service."""
    identifier = uuid5(NAMESPACE, f"{stream}/{subject}/{sequence}")
    more = {"record": b"{}", "headers": [("ce_id", str(identifier).encode())], **more}
    return asked(subject, message, id=identifier, stream=stream, sequence=sequence, **more)


SOON = timedelta(milliseconds=50)
