"""No statement of a hot path reads a large table from end to end: each has its index.

`THROUGHLINE_PLAN_ROWS=1000000` asks with as many rows; the plans are the same as with those that are made here.
"""

import os
import secrets
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chassis import (
    agenda,
    applying,
    auth,
    database,
    documents,
    erasing,
    groups,
    history,
    housekeeping,
    lease,
    positions,
    relay,
    resend,
    skipping,
    waiting,
)
from chassis.aggregate import Aggregate
from chassis.applying import Filled, Part
from chassis.provision import Names, provision
from chassis.reading import Reader, Wanted
from contracts.registry import SERVICES
from testkit import plans
from testkit.databases import Databases

ROWS = int(os.environ.get("THROUGHLINE_PLAN_ROWS", "50000"))
VALUES = {
    "journal": {
        "grp": "n % 12",
        "seq": "n",
        "recorded_at": "now()",
        "sequence": "n % 20",
        "subject": plans.uuid_of("n / 5"),
    },
    "documents": {
        "kind": "CASE n % 100 WHEN 0 THEN 'person' ELSE 'contact' END",
        "doc": "CASE WHEN n % 10 > 0 THEN '{}' END::json",
        "changed_at": "now() + n * interval '1 second' - (n % 10 = 0)::int * interval '100 days'",
        "erased_at": "CASE WHEN n % 10 = 0 THEN now() - interval '100 days' END",
    },
    "message_ids": {"id": "gen_random_uuid()", "subject": plans.uuid_of("n")},
    "waiting": {"next_at": "CASE n % 100 WHEN 0 THEN now() + interval '1 hour' END"},
    "contacts": {"email": "'v' || n"},
    "approvals": {"request_id": plans.uuid_of("n / 2")},
}
"""What matters for the planner's choice: how many rows there are of a subject, a kind, a group."""
KNOWN = frozenset({"billing.WITH_STATUS: Index Scan on invoices"})
"""An operator's list goes back from the latest invoice, and far back for a status that few have."""
PARTS = tuple(part for part in vars(applying).values() if isinstance(part, Part))
ROW = tuple([None] * len(applying.JOURNAL_COLUMNS))
WORK_FILTERS = ("owner_id", "team_id", "queue", "contact_id", "organisation_id")


def service_of(name: str) -> Any:
    return import_module(f"{name}.main").SERVICE


def of_aggregate(name: str, aggregate: Aggregate[Any]) -> Iterator[tuple[str, str]]:
    """Reading a batch, with idempotency, documents and claims; saving it; sweeping its agenda and what waits."""
    table = aggregate.table.name
    wanted = Wanted(
        ids=(UUID(int=1),), documents=(("contact", "1"),), own=((table, str(UUID(int=1))),), claims=("x",),
        waiting=((UUID(int=1), 1),),
    )  # fmt: skip
    sql, _ = Reader(aggregate).query([UUID(int=1)], wanted)
    yield f"read {table}", sql
    yield f"await {table}", positions.told_or_heard(aggregate)
    yield f"save {table}", written(applying.save_part(aggregate.table)[0])
    yield f"lock {table}", agenda._LOCK.format(table=table)
    yield f"sweep {table}", agenda._DUE.format(table=table, name=aggregate.name, limit=agenda._LIMIT)


def written(part: Part) -> str:
    sql, _ = applying.apply_statement([Filled(part, [[]] * part.arity, 0)], 12, [ROW])
    return sql


def of_chassis() -> Iterator[tuple[str, str]]:
    """What every service does alike, over and over."""
    for part in PARTS:
        if part is not applying.CLAIMED_AFTER_RELEASE:
            yield f"write {part.name}", written(part)
    for module, names in (
        (agenda, ("_NEXT", "_LATER")),
        (waiting, ("DUE", "_OF_SUBJECT", "_PUT_OFF", "_RETRY")),
        (groups, ("POLL",)),
        (lease, ("OLDEST",)),
        (positions, ("_KEPT",)),
        (relay, ("_LATEST",)),
        (skipping, ("_ROW", "_BEFORE")),
        (resend, ("_ALL", "_FACTS")),
        (auth, ("_BY_LOGIN",)),
        (documents, ("_CHANGED", "_ONE")),
        (erasing, ("_DUE", "_JOURNAL", "_PRIVATE", "_NAMED", "_ANSWERS")),
        (history, ("_TOLD", "_OF_SUBJECT", "_OF_AGGREGATE")),
    ):
        for name in names:
            yield f"{module.__name__}.{name}", text_of(getattr(module, name))
    for n, sql in enumerate(housekeeping._OLD):
        yield f"housekeeping {n}", sql


def of_store(name: str) -> Iterator[tuple[str, str]]:
    """Every query that a service makes of its own; of workflow every list that a filter can make."""
    store = import_module(f"{name}.store")
    for called, value in vars(store).items():
        for key, each in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(each, database.Statement):
                yield f"{name}.{called}{key}", each.sql
    if name == "workflow":
        for ways in (frozenset[str](), *map(frozenset, ({"owner", "team"}, {"contact"}, {"contact", "organisation"}))):
            for filters in (frozenset[str](), *(frozenset({one}) for one in WORK_FILTERS)):
                for closed in (False, True):
                    for goes_on in (False, True):
                        called = (
                            f"{'closed' if closed else 'open'} seen by {sorted(ways)} only {sorted(filters)} {goes_on}"
                        )
                        yield called, store._listed(ways, filters, closed, goes_on).sql


def text_of(statement: Any) -> str:
    return str(getattr(statement, "sql", statement))


def statements_of(name: str) -> dict[str, str]:
    found = dict(of_chassis())
    for aggregate in service_of(name).aggregates:
        found |= dict(of_aggregate(name, aggregate))
    return found | dict(of_store(name))


async def filled(fresh_database: Databases, name: str, rows: int, *, without: str = "") -> list[str]:
    """What of a service reads a large table from end to end, in a schema filled for this."""
    url, prefix = (await fresh_database()).url, f"plans-{secrets.token_hex(3)}"
    await provision(url, {name: f"{name}.migrations"}, prefix=prefix)
    schema = Names(name, prefix).schema
    large = await plans.fill(url, schema, rows, VALUES)
    if without:
        connection = await asyncpg.connect(url)
        await connection.execute(f'DROP INDEX "{schema}".{without}')
        await connection.close()
    return [str(walk) for walk in await plans.walks(url, schema, statements_of(name), large, database._PLANS)]


@pytest.mark.parametrize("name", SERVICES)
async def test_no_statement_of_a_hot_path_reads_a_large_table_from_end_to_end(
    name: str, fresh_database: Databases
) -> None:
    found = await filled(fresh_database, name, ROWS)
    assert [walk for walk in found if walk not in KNOWN] == []


@pytest.mark.parametrize(
    ("name", "index", "statement"),
    [
        ("workflow", "wake_at", "sweep requests"),
        ("workflow", "requests_open_team_id", "open seen by ['owner', 'team'] only [] False"),
        ("workflow", "requests_open", "open seen by [] only [] False"),
        ("workflow", "documents_login", "chassis.auth._BY_LOGIN"),
        ("intake", "documents_changed", "chassis.documents._CHANGED"),
        ("intake", "documents_to_erase", "chassis.erasing._DUE"),
        ("intake", "journal_subject", "chassis.history._TOLD"),
        ("intake", "submissions_number", "intake.OF_NUMBER"),
        ("intake", "message_ids_old", "housekeeping 0"),
    ],
)
async def test_a_missing_index_is_seen(name: str, index: str, statement: str, fresh_database: Databases) -> None:
    found = await filled(fresh_database, name, 5_000, without=index)
    assert statement in {walk.partition(": ")[0] for walk in found}
