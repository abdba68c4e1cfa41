"""I7 by violations planted in a real schema: rows, columns and child rows that no facts make, and lost ones."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from approvals.main import SERVICE, Settings
from chassis.clients import Client
from chassis.journal import Codec
from contracts import approvals as contract
from contracts import intake
from contracts import workflow as told
from contracts.base import ActorRef
from contracts.policy import Policy
from contracts.registry import SERVICES
from testkit.chaos.auditor import LAWS
from testkit.chaos.children import of_subjects, tables_of
from testkit.chaos.evidence import Evidence, service, shelf_of
from testkit.chaos.folds import NOT_DERIVED, Folded, fold, of_aggregate, stored_child
from testkit.chaos.operations import Operations
from testkit.databases import Databases
from testkit.standing import Standing, standing
from workflow.deciders import QUEUES, REQUESTS
from workflow.domain import facts

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REQUEST, CARLA, ANNA, BO = (UUID(int=n) for n in (7, 70, 71, 72))
FAR = datetime(2100, 1, 1, tzinfo=UTC)
ONE_MORE = (
    "INSERT INTO votes (approval_id, person_id, late) SELECT approval_id, gen_random_uuid(), false FROM approvals"
)


def opened(**changed: Any) -> facts.RequestOpened:
    values = {
        "number": "R-1", "contact_id": CARLA, "organisation_id": None, "queue": "outage", "queue_version": 1,
        "summary": "Line down", "stage": "New", "state": "new", "visit_no": 1, "priority": "high", "urgency": "high",
        "impact": "high", "owner_id": None, "team_id": None, "received_at": NOON, "due_at": None, "mode": "live",
        "at": NOON, "target": 60_000_000,
    }  # fmt: skip
    return facts.RequestOpened(**{**values, **changed})


def journal(codec: Codec, *stated: Any) -> list[dict[str, Any]]:
    """Rows of a journal as they are read."""
    rows = []
    for n, fact in enumerate(stated, 1):
        row = codec.encode(fact)._asdict()
        rows.append({**row, "grp": 0, "recorded_at": NOON, "occurred_at": NOON + timedelta(seconds=n), "sequence": n})
    return rows


def folded(entries: list[dict[str, Any]]) -> Folded:
    return fold(REQUESTS, REQUEST, of_aggregate(REQUESTS, entries), entries)


def test_facts_make_columns_and_child_rows_as_a_service_writes_them() -> None:
    note = facts.NoteAdded(UUID(int=9), 1, "Called back.", facts.By("person", ANNA), NOON)
    made = folded(journal(REQUESTS.codec, opened(), note))
    assert (made.columns["stage"], made.columns["due_at"]) == ("New", NOON + timedelta(minutes=1))
    assert made.columns["sequence"] == 2
    assert set(made.columns) == {"sequence", *REQUESTS.columns(made.state)}
    [(place, row)] = made.children.items()
    assert place == ("notes", str(UUID(int=9)))
    assert (row["text"], row["author_id"], row["note_no"]) == ("Called back.", ANNA, 1)


def test_a_fact_that_this_release_cannot_read_changes_nothing_and_uses_up_its_number() -> None:
    entries = journal(REQUESTS.codec, opened(), opened(stage="Triage"))
    entries[1]["version"] = 99
    made = folded(entries)
    assert (made.columns["stage"], made.columns["sequence"]) == ("New", 2)


def test_facts_of_one_aggregate_are_none_of_anothers() -> None:
    assert of_aggregate(QUEUES, journal(REQUESTS.codec, opened())) == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_child_table_of_a_service_is_found_by_its_request(name: str) -> None:
    for table in tables_of(service(name)):
        assert " AS owner FROM " in of_subjects(table)
        assert "request_id" in table.c or "JOIN approvals" in of_subjects(table) or table.name == "submission_contents"


def test_what_is_not_compared_is_named_with_its_reason_and_is_there() -> None:
    aggregates = [each.table for name in SERVICES for each in service(name).aggregates]
    children = {table.name: table for name in SERVICES for table in tables_of(service(name))}
    for column, reason in NOT_DERIVED.items():
        table, _, name = column.rpartition(".")
        assert reason
        assert all(name in each.c for each in ([children[table]] if table else aggregates)), column
    row = {column.name: None for column in children["deliveries"].c}
    assert set(row) - set(stored_child(children["deliveries"], row)) == {"picked_until"}


# -- a real schema ---------------------------------------------------------------------------------------------------


class Schema(NamedTuple):
    """The schema of approvals, in which one request was asked about and voted on."""

    connection: asyncpg.Connection
    known: list[UUID]

    async def broken(self) -> list[str]:
        evidence = Evidence(
            Operations(), shelves={"approvals": await shelf_of("approvals", self.connection, self.known)}
        )
        return [name for law in LAWS["I7"] for name, where, told in law(evidence) if str(REQUEST) in where and told]


@pytest_asyncio.fixture
async def schema(fresh_database: Databases, tmp_path: Path) -> AsyncIterator[Schema]:
    async with standing(SERVICE, Settings, fresh_database, tmp_path) as approvals:
        await _voted(approvals)
        connection = await asyncpg.connect(approvals.runtime.settings.database_url.get_secret_value())
        try:
            yield Schema(connection, [REQUEST])
        finally:
            await asyncio.wait_for(connection.close(), 10)


async def _voted(approvals: Standing) -> None:
    """An approval that two are asked for and one has granted."""
    common = {"active": True, "roles": ("approver",), "version": 1}
    for who, login in ((ANNA, "anna"), (BO, "bo")):
        person = told.Person(person_id=who, name=login, email=f"{login}@example.org", login=login, **common)
        await approvals.know(person)
    await approvals.know(intake.Contact(contact_id=CARLA, name="c", email="c@example.org", login="carla", version=1))
    begun = told.RequestOpened(
        number="R-1", contact_id=CARLA, queue="outage", queue_version=1, stage="New", state="new", visit_no=1,
        priority="high", urgency="high", impact="high", received_at=NOON,
    )  # fmt: skip
    ask = told.TransitionRequested(
        transition_id=UUID(int=8), from_stage="New", to_stage="Work", visit_no=1, content_hash="sha256:00ff",
        policy=Policy(kind="any"), approvers=(ANNA, BO), number="R-1", due_at=FAR,
        asked_by=ActorRef(kind="person", id=UUID(int=73)),
    )  # fmt: skip
    await approvals.hear(REQUEST, begun, ask)
    [(_, approval)] = [each for each in await approvals.told(REQUEST) if each[0] == "approvals.approval-requested"]
    vote = contract.Decide(
        approval_id=approval["approval_id"], decision="approve", actor=ActorRef(kind="person", id=BO)
    )
    crm = Client("crm", frozenset({"approvals:decide"}), may_act_for_others=True)
    outcome = await approvals.command(crm, REQUEST, vote)
    assert outcome.refused is None, outcome


async def test_what_a_service_has_written_is_in_order(schema: Schema) -> None:
    shelf = await shelf_of("approvals", schema.connection, schema.known)
    assert sorted(row.table for row in shelf.children) == ["approvals", "settlements", "votes", "votes"]
    assert await schema.broken() == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("DELETE FROM approval_files", ["row-lost"]),
        ("UPDATE approval_files SET sequence = sequence + 1", ["column-is-no-fold"]),
        ("DELETE FROM settlements", ["child-lost"]),
        ("DELETE FROM votes WHERE decision = 'approve'", ["child-lost"]),
        ("UPDATE votes SET decision = 'refuse' WHERE decision = 'approve'", ["child-is-no-fold"]),
        ("UPDATE approvals SET due_at = due_at + interval '1 microsecond'", ["child-is-no-fold"]),
        (ONE_MORE, ["child-from-nothing"]),
        (
            "DELETE FROM journal WHERE type = 'approvals.approval-settled'",
            ["column-is-no-fold", "row-is-no-fold", "child-from-nothing", "child-is-no-fold"],
        ),
    ],
)
async def test_what_no_facts_make_of_a_schema_is_found(schema: Schema, planted: str, found: list[str]) -> None:
    await schema.connection.execute(planted)
    assert sorted(await schema.broken()) == sorted(found)
