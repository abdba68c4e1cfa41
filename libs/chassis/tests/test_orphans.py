"""Orphans that a service knows of by itself, over HTTP: each with its fact and the one command that mends it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import pytest_asyncio

from chassis import orphans
from chassis.clients import Client, save
from chassis.hearing import Ear
from chassis.partition import partition_of
from contracts import workflow
from contracts.workflow import NoteAdded
from testkit.standing import Standing, standing
from testkit.toy import NAMESPACE, PARTITIONS, Add, asked
from testkit.toyhearing import BILLING
from testkit.toyservice import ToySettings

pytestmark = pytest.mark.servers

PATH = "/reconciliation/orphans"
TILL = UUID(int=7)
LETTER = (
    "INSERT INTO dead_letters (reason, detail, topic, partition, kafka_offset, key, headers, value) "
    "VALUES ('not-a-cloudevent', '', $1, 0, $2, 'k', '[]', '{}') RETURNING id"
)
DUE = "INSERT INTO wake (subject, aggregate, at) VALUES ($1, 'tills', clock_timestamp() + make_interval(secs => $2))"
REACTION = (
    "INSERT INTO waiting (aggregate, subject, event_id, kind, message, envelope, reason, first_at) VALUES "
    "('tills', $1, gen_random_uuid(), 'reaction', '{}', json_build_object('causation_id', $2::text, 'origin', NULL), "
    "'reaction', clock_timestamp())"
)
HELD = "UPDATE relay SET holder = 'h', lease_until = clock_timestamp() + interval '1 hour'"


@pytest_asyncio.fixture
async def billing(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Standing]:
    """The toy that hears of `workflow.requests`."""
    async with standing(BILLING, ToySettings, fresh_database, tmp_path, partitions=PARTITIONS) as found:
        async with found.runtime.database.begin() as connection:
            for name, scope in (("operator", "operate"), ("clerk", "tills:write")):
                await save(connection, Client(name, frozenset({scope})))
        yield found


async def get(billing: Standing, who: str = "operator", path: str = PATH, **query: Any) -> Any:
    async with billing.client(who, "operate tills:write") as client:
        return await client.get(path, params=query)


async def found(billing: Standing, **query: Any) -> list[dict[str, Any]]:
    """All pages; none has more than its limit, and each names the next as the header does."""
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        answer = await get(billing, **{"older_than": 0, **query, **after})
        page = answer.json()
        assert len(page["items"]) <= query.get("limit", 50)
        assert (page["next"] is not None) == ("link" in answer.headers)
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


async def run(billing: Standing, statement: str, *arguments: Any) -> list[Any]:
    return list(await billing.runtime.database.read(statement, *arguments))


def note(number: int) -> NoteAdded:
    return workflow.NoteAdded(note_id=uuid5(NAMESPACE, str(number)), note_no=number)


async def published(billing: Standing) -> None:
    """As if the relay had sent everything that was told so far."""
    cursor = "INSERT INTO relay_cursor (grp, high) SELECT grp, max(seq) FROM journal GROUP BY grp"
    await billing.runtime.database.execute(cursor)


async def skipped(billing: Standing) -> int:
    """A dead letter that is a fact: one that could not be decided, and that an operator skipped."""
    await billing.hear(TILL, note(1), note(13))
    (waits,) = await run(billing, "SELECT id FROM waiting")
    async with billing.client("operator", "operate") as client:
        await client.post(f"/waiting/{waits['id']}/skip", json={"reason": "by mistake"})
    await published(billing)
    (letter,) = await run(billing, "SELECT id FROM dead_letters")
    return int(letter["id"])


async def test_they_are_for_operators_alone(billing: Standing) -> None:
    assert (await get(billing, "clerk")).status_code == 403
    assert (await get(billing)).json() == {"items": [], "next": None}


async def test_what_waits_is_named_with_its_fact_and_the_command_that_tries_it_again(billing: Standing) -> None:
    await billing.hear(TILL, note(1), note(13), note(3))
    await published(billing)
    first, behind = await found(billing)
    fact = billing.nth(TILL, note(13), 2)
    assert first["fact"].pop("time") is not None
    assert first["fact"] == {
        "id": str(fact.id), "type": "workflow.note-added", "topic": "workflow.requests", "sequence": 2,
    }  # fmt: skip
    assert (first["kind"], first["subject"], first["why"]) == (
        "waits", str(TILL), "waits: error (ZeroDivisionError: planted)",
    )  # fmt: skip
    assert (behind["fact"]["sequence"], behind["why"].partition(" (")[0]) == (3, "waits: behind")
    assert {first["mend"], behind["mend"]} == {f"throughline waiting retry {TILL}"}


async def test_a_step_inside_the_service_is_named_by_the_fact_that_caused_it(billing: Standing) -> None:
    cause = uuid4()
    await run(billing, REACTION, TILL, str(cause))
    (item,) = await found(billing)
    assert item["fact"] == {"id": str(cause), "type": None, "topic": None, "sequence": None, "time": None}


async def test_a_dead_letter_that_is_a_fact_is_mended_by_the_verb_it_names(billing: Standing) -> None:
    letter = await skipped(billing)
    (item,) = await found(billing)
    assert (item["kind"], item["subject"], item["fact"]["sequence"]) == ("dead-letter", str(TILL), 2)
    assert item["why"].startswith(f"dead letter {letter}: skipped (by mistake")
    assert item["mend"] == f"throughline waiting redeliver billing {letter} --reason reconciled"
    async with billing.client("operator", "operate") as client:
        answer = await client.post(f"/dead-letters/{letter}/redeliver", json={"reason": "reconciled"})
    assert answer.status_code == 200, answer.text
    (item,) = await found(billing)
    assert (item["kind"], item["fact"]["topic"]) == ("waits", "workflow.requests")


@pytest.mark.parametrize("topic", ["billing.commands.erp", "workflow.requests"])
async def test_a_letter_that_is_no_fact_can_only_be_put_away(billing: Standing, topic: str) -> None:
    (row,) = await run(billing, LETTER, topic, 1)
    (item,) = await found(billing)
    assert (item["fact"], item["mend"]) == (
        None, f"throughline waiting resolve billing {row['id']} --reason reconciled",
    )  # fmt: skip
    async with billing.client("operator", "operate") as client:
        await client.post(f"/dead-letters/{row['id']}/resolve", json={"reason": "reconciled"})
    assert await found(billing) == []


async def test_a_letter_that_our_own_code_fails_on_is_listed_like_any_other(
    billing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await skipped(billing)
    monkeypatch.setattr(Ear, "decode", lambda *_: 1 / 0)
    (item,) = await found(billing)
    assert item["mend"] == f"throughline waiting resolve billing {letter} --reason reconciled"


async def test_what_is_not_published_is_named_and_what_the_relay_could_not_send_is_too(billing: Standing) -> None:
    for _ in range(4):
        await billing.decider("tills").handle(asked(TILL, Add(1)))
    group = partition_of(str(TILL).encode(), PARTITIONS)
    assert [item["fact"]["sequence"] for item in await found(billing)] == [1, 2, 3, 4]
    sent = "INSERT INTO relay_cursor (grp, high, holes) SELECT $1, max(seq) - 1, ARRAY[max(seq) - 2] FROM journal"
    await billing.runtime.database.execute(sent, group)
    alone = await found(billing)
    assert [(item["kind"], item["fact"]["topic"], item["fact"]["sequence"]) for item in alone] == [
        ("unsent", "toy.tills", 2), ("unsent", "toy.tills", 4),
    ]  # fmt: skip
    assert {item["mend"] for item in alone} == {"python -m billing --role relay"}
    assert (await get(billing, path="/reconciliation")).json()["unsent_since"] == alone[0]["since"]
    await billing.runtime.database.execute(HELD)
    assert {item["mend"] for item in await found(billing)} == {"throughline doctor"}


async def test_what_is_due_and_not_decided_is_named_and_what_is_not_due_is_not(billing: Standing) -> None:
    await billing.runtime.database.execute(DUE, TILL, -30.0)
    await billing.runtime.database.execute(DUE, uuid4(), 30.0)
    (item,) = await found(billing)
    assert (item["kind"], item["subject"], item["fact"], item["mend"]) == (
        "due", str(TILL), None, "python -m billing --role timers",
    )  # fmt: skip


async def test_what_is_young_is_still_on_its_way(billing: Standing) -> None:
    await billing.hear(TILL, note(1), note(13))
    await run(billing, LETTER, "workflow.requests", 1)
    await billing.runtime.database.execute(DUE, uuid4(), -50.0)
    assert (await get(billing)).json()["items"] == []
    for table in ("waiting", "dead_letters"):
        await billing.runtime.database.execute(f"UPDATE {table} SET first_at = first_at - interval '61 seconds'")
    await billing.runtime.database.execute("UPDATE wake SET at = at - interval '11 seconds'")
    await billing.runtime.database.execute("UPDATE journal SET recorded_at = recorded_at - interval '61 seconds'")
    assert [item["kind"] for item in (await get(billing)).json()["items"]] == ["dead-letter", "waits", "unsent", "due"]


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
async def test_the_pages_are_all_of_them_once_however_they_are_cut(billing: Standing, limit: int) -> None:
    tills = [uuid4() for _ in range(5)]
    for number, till in enumerate(tills):
        await run(billing, LETTER, "workflow.requests", number)
        await billing.hear(till, note(1), note(2), note(13))
        await run(billing, "DELETE FROM wake RETURNING 1")
        await billing.runtime.database.execute(DUE, uuid4(), -60.0 * (number % 2))
    items = await found(billing, limit=limit)
    kinds = [item["kind"] for item in items]
    assert kinds == ["dead-letter"] * 5 + ["waits"] * 5 + ["unsent"] * 10 + ["due"]
    assert len({repr(item) for item in items}) == len(items)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"after": "?"}, 400),
        ({"after": "WzBd"}, 400),  # [0]
        ({"after": "WzQsMV0"}, 400),  # [4,1]
        ({"after": "WzAsImEiXQ"}, 400),  # [0,"a"]
        ({"after": "WzIsMTA5OTUxMTYyNzc3NiwwXQ"}, 422),  # [2,1099511627776,0]
        ({"after": "WzAsOTIyMzM3MjAzNjg1NDc3NTgwOF0"}, 422),  # [0,9223372036854775808]
        ({"older_than": -1}, 422),
        ({"older_than": 31_536_001}, 422),
        ({"limit": 201}, 422),
        ({"limit": 0}, 422),
    ],
)
async def test_what_cannot_be_asked_is_a_problem(billing: Standing, query: dict[str, Any], status: int) -> None:
    assert (await get(billing, **query)).status_code == status


@pytest.mark.parametrize("source", orphans._SOURCES, ids=["letters", "waiting", "unsent", "due"])
async def test_a_page_is_led_by_an_index(billing: Standing, source: Any) -> None:
    database = billing.runtime.database
    async with database.begin() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        explained = f"EXPLAIN {source.statement}"
        rows = await connection.fetch(explained, 50, 60.0, *source.begin, *source.more(billing.runtime))
    plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan, plan
    for costly in ("Seq Scan on journal", "Seq Scan on waiting", "Seq Scan on dead_letters", "Seq Scan on wake"):
        assert costly not in plan, plan
