"""What an auditor looks at after a run: the ledger of operations, the facts on the topics, what the schemas hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from chassis.aggregate import Aggregate
from chassis.journal import to_json
from chassis.service import Service
from cli.clients import Where, schemas
from cli.reconcile.heard import Heard
from cli.reconcile.ledger import Ledger
from testkit.chaos.archive import Archive
from testkit.chaos.children import ChildRow, child_rows
from testkit.chaos.folds import Folded, Key, fold, of_aggregate, stored_columns
from testkit.chaos.footprint import Footprint
from testkit.chaos.operations import Operations

_ROWS = (
    "SELECT r.*, w.at AS wakes FROM {table} r "
    "LEFT JOIN wake w ON w.subject = r.id AND w.aggregate = '{name}' WHERE r.id = ANY($1)"
)
_JOURNAL = (
    "SELECT grp, recorded_at, event_id, topic, type, version, subject, sequence, data::text, personal::text, "
    "private::text, occurred_at FROM journal WHERE subject = ANY($1) ORDER BY subject, seq"
)
_SUBJECTS = "SELECT DISTINCT subject FROM journal WHERE recorded_at >= $1"
_CHANGED = "SELECT id FROM {table} WHERE changed_at >= $1"
_WAITING = "SELECT subject, reason, detail, attempts FROM waiting"
RESULTS = ".results."
"""What stands in the name of every topic of answers."""
POISON = b"poison"
"""The key of records that are meant to become dead letters."""
_LETTERS = "SELECT reason, detail FROM dead_letters WHERE resolved_at IS NULL AND key IS DISTINCT FROM $1"
_UNSENT = (
    "SELECT count(*) FROM journal j JOIN relay_cursor c USING (grp) "
    "WHERE j.topic IS NOT NULL AND (j.seq > c.high OR j.seq = ANY(c.holes))"
)
_STUCK = (
    "SELECT pid, state, left(query, 80) AS query FROM pg_stat_activity "
    "WHERE state LIKE 'idle in transaction%' AND usename LIKE $1 AND state_change < clock_timestamp() - interval '20 s'"
)
_DUE = "SELECT count(*) FROM wake WHERE at <= clock_timestamp()"
_ASTRAY = "SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM ({all}) a WHERE a.id = t.subject)"


class Row(NamedTuple):
    """An aggregate's row and what its facts fold to; when it must wake next, and when it will.

    `columns` are what stands beside the state in the row, `derived` what the facts make of them.
    """

    aggregate: str
    subject: UUID
    sequence: int
    heard: Mapping[str, int]
    state: Any
    folded: Any
    due: datetime | None = None
    wakes: datetime | None = None
    columns: Mapping[str, Any] = MappingProxyType({})
    derived: Mapping[str, Any] = MappingProxyType({})


class Rowless(NamedTuple):
    """An aggregate that has facts and no row."""

    aggregate: str
    subject: UUID
    type: str
    """Of the first of its facts."""


class Stated(NamedTuple):
    """A row of the journal, as far as it is looked at."""

    event_id: UUID
    topic: str | None
    type: str
    subject: UUID
    sequence: int | None
    answer: str | None = None
    """What a client was answered, when it is an answer."""


@dataclass
class Shelf:
    """What one service's schema holds."""

    rows: list[Row] = field(default_factory=list)
    rowless: list[Rowless] = field(default_factory=list)
    children: list[ChildRow] = field(default_factory=list)
    journal: list[Stated] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    unsent: int = 0
    due: int = 0
    stuck: list[str] = field(default_factory=list)
    """Sessions of this service that have sat in a transaction for longer than any may."""
    astray: dict[str, int] = field(default_factory=dict)
    """Wake-ups and claims, by table, of things that this service has not."""

    def of(self, aggregate: str) -> dict[UUID, Row]:
        """The rows of one kind of aggregate."""
        return {row.subject: row for row in self.rows if row.aggregate == aggregate}


@dataclass
class Evidence:
    """What is known at one moment of some requests, or of all. `mails` counts each Message-ID that the mail sink took.

    `issued` is whatever has a number of a series without gaps, of all requests; None: it is among the facts.
    `went_back` is what was seen to go back while the run was watched; `shown` is what somebody was shown whose it is
    not; `hindered` are the times in which a fault stood in everybody's way; up to `at`, a moment of the database's
    clock, the topics were read (None: nobody said). What was held: `before` is when the installation was new, `between`
    after each of its runs so far, `after` is now.
    """

    operations: Operations
    facts: list[Heard] = field(default_factory=list)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    mails: Mapping[str, int] = field(default_factory=dict)
    issued: list[Heard] | None = None
    went_back: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    hindered: Sequence[tuple[datetime, datetime]] = ()
    at: datetime | None = None
    before: Footprint | None = None
    between: Sequence[Footprint] = ()
    after: Footprint | None = None

    @cached_property
    def ledger(self) -> Ledger:
        """The books of these requests; what is told later is not in them."""
        return ledger_of(self.facts)


def ledger_of(facts: Iterable[Heard]) -> Ledger:
    """The books of some facts."""
    ledger = Ledger()
    for fact in facts:
        ledger.hear(fact)
    return ledger


def first_told(facts: Iterable[Heard], *tellers: str) -> dict[UUID, list[Heard]]:
    """What some services told of each request: each fact once, as it was told first, in the order of its topic."""
    found: dict[UUID, dict[UUID, Heard]] = {}
    for fact in facts:
        if fact.teller in tellers:
            found.setdefault(fact.subject, {}).setdefault(fact.id, fact)
    return {subject: sorted(told.values(), key=lambda fact: fact.sequence) for subject, told in found.items()}


@cache
def service(name: str) -> Service:
    """A service as its own `main` declares it."""
    found: Service = import_module(f"{name}.main").SERVICE
    return found


def per_request(name: str) -> Aggregate[Any]:
    """The aggregate of which a service has one per request."""
    stream = service(name).stream
    assert stream is not None
    return stream.into


def heard_by(name: str) -> tuple[str, ...]:
    """The streams that a service keeps positions of."""
    stream = service(name).stream
    return stream.topics if stream is not None else ()


async def gather(
    where: Where, archive: Archive, operations: Operations, mails: Mapping[str, int], scope: set[UUID]
) -> Evidence:
    """All about some requests, and what concerns no single one; the archive must just have been read."""
    evidence = Evidence(
        operations.about(scope, archive.made), mails=dict(mails), facts=archive.of(scope), issued=archive.issued
    )
    async with schemas(where) as visits:
        async for name, connection in visits:
            async with connection.transaction(isolation="repeatable_read", readonly=True):  # all of one moment
                evidence.shelves[name] = await shelf_of(name, connection, list(scope))
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            evidence.at = now if archive.read_at is None else min(now, archive.read_at)
    return evidence


async def touched(where: Where, since: datetime) -> set[UUID]:
    """Whatever has a row that was changed, or a fact that was stated, since a moment."""
    found: set[UUID] = set()
    async with schemas(where) as visits:
        async for name, connection in visits:
            found |= {row["subject"] for row in await connection.fetch(_SUBJECTS, since)}
            for aggregate in service(name).aggregates:
                rows = await connection.fetch(_CHANGED.format(table=aggregate.table.name), since)
                found |= {row["id"] for row in rows}
    return found


async def shelf_of(name: str, connection: asyncpg.Connection, scope: list[UUID]) -> Shelf:
    """What a service's schema, through which the connection goes, holds of some subjects."""
    shelf = Shelf(unsent=await connection.fetchval(_UNSENT), due=await connection.fetchval(_DUE))
    shelf.waiting = [f"{r['subject']} {r['reason']} {r['detail']}" for r in await connection.fetch(_WAITING)]
    shelf.letters = [f"{r['reason']} {r['detail']}" for r in await connection.fetch(_LETTERS, POISON)]
    stuck = await connection.fetch(_STUCK, f"%{name}_%")
    shelf.stuck = [f"{r['pid']} {r['state']}: {r['query']}" for r in stuck]
    everything = " UNION ALL ".join(f"SELECT id FROM {each.table.name}" for each in service(name).aggregates)
    for table in ("wake", "claims"):
        shelf.astray[table] = await connection.fetchval(_ASTRAY.format(table=table, all=everything))
    by_subject: dict[UUID, list[Any]] = {}
    for entry in await connection.fetch(_JOURNAL, scope):
        shelf.journal.append(_stated(entry))
        by_subject.setdefault(entry["subject"], []).append(entry)
    derived: dict[Key, tuple[UUID, dict[str, Any]]] = {}
    for aggregate in service(name).aggregates:
        rows = await connection.fetch(_ROWS.format(table=aggregate.table.name, name=aggregate.name), scope)
        stored = {row["id"]: row for row in rows}
        facts = {subject: of for subject, entries in by_subject.items() if (of := of_aggregate(aggregate, entries))}
        for subject in stored.keys() | facts.keys():
            folded = fold(aggregate, subject, facts.get(subject, ()), by_subject.get(subject, ()))
            derived |= {place: (subject, values) for place, values in folded.children.items()}
            if subject in stored:
                shelf.rows.append(_row(aggregate, stored[subject], folded))
            else:
                shelf.rowless.append(Rowless(aggregate.name, subject, facts[subject][0]["type"]))
    shelf.children = await child_rows(connection, service(name), scope, derived)
    return shelf


def _stated(entry: Any) -> Stated:
    answer = entry["data"] if RESULTS in (entry["topic"] or "") else None
    return Stated(entry["event_id"], entry["topic"], entry["type"], entry["subject"], entry["sequence"], answer)


def _row(aggregate: Aggregate[Any], row: Any, folded: Folded) -> Row:
    state = orjson.loads(row["state"]) if row["state"] else None
    due = None if folded.state is None else min(aggregate.agenda(folded.state).values(), default=None)
    as_json = None if folded.state is None else orjson.loads(to_json(folded.state))
    heard = orjson.loads(row["heard"])
    columns = stored_columns(aggregate.table, row)
    return Row(
        aggregate.name, row["id"], row["sequence"], heard, state, as_json, due, row["wakes"], columns, folded.columns
    )
