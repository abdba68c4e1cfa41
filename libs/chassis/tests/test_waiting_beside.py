"""What waits beside other things of its request, against real PostgreSQL: it takes no turn, try or block from them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from chassis.asked import Asked
from chassis.clock import utc_now
from chassis.database import Database
from chassis.skipping import NotTheFirst, skip
from chassis.waiting import listed, of_subject
from testkit import toy
from testkit.toy import Add, Explode, asked, heard
from testkit.toywaiting import agenda, remembered, revive

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


@pytest.fixture
def runtime(database: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("chassis.skipping.revive_of", lambda _: revive)
    return SimpleNamespace(database=database, deciders={"tills": toy.decider(database)})


def numbered(till: UUID, number: int, client: str = "erp") -> Asked:
    """A client's command under a number of its own."""
    return remembered(heard(till, Add(10), number, f"toy.commands.{client}", reply_to=client))


def unnumbered(till: UUID, message: Any) -> Asked:
    """A client's command that has no order to keep."""
    return remembered(asked(till, message, record=b"{}", headers=[], reply_to="erp", remember=True))


async def waiting(database: Database) -> list[Any]:
    return await listed(database, subject=None, after=0, limit=100)


async def is_due(database: Database) -> bool:
    rows = await database.read("SELECT 1 FROM waiting WHERE next_at <= statement_timestamp()")
    return rows != []


async def blocked(database: Database, till: UUID) -> str | None:
    (row,) = await database.read("SELECT blocked FROM tills WHERE id = $1", till)
    return str(row["blocked"]) if row["blocked"] is not None else None


async def test_a_command_that_an_operator_skips_lets_no_fact_pass_one_that_waits(
    database: Database, runtime: Any
) -> None:
    till, decider = uuid4(), toy.decider(database)
    await decider.handle_batch([remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(), 2))])
    await decider.handle_batch([numbered(till, 1), numbered(till, 2)])
    failing, first, second = await waiting(database)
    with pytest.raises(NotTheFirst):
        await skip(runtime, second["id"], "planted")
    await skip(runtime, first["id"], "planted")
    assert await blocked(database, till) == "error"
    (outcome,) = await decider.handle_batch([remembered(heard(till, Add(1), 1, "late.things"))])
    assert outcome.waiting
    await skip(runtime, failing["id"], "planted")
    await agenda(database).sweep()
    assert (await waiting(database), await blocked(database, till)) == ([], None)


async def test_a_request_stays_blocked_until_all_of_its_waiting_facts_are_decided(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, decider = uuid4(), toy.decider(database)
    failing = [heard(till, Add(1), 1), heard(till, Explode(times=1), 2)]
    await decider.handle_batch([*map(remembered, failing), *(remembered(heard(till, Add(1), n)) for n in (3, 4))])
    monkeypatch.setattr("chassis.waiting.PAGE", 2)
    read = [revive(row) for row in await of_subject(database, "tills", till)]
    await decider.handle_batch(read)
    assert await blocked(database, till) == "error"
    await agenda(database).sweep()
    assert (await waiting(database), await blocked(database, till)) == ([], None)


async def test_a_message_that_fails_before_it_is_due_keeps_its_attempts_and_its_time(database: Database) -> None:
    till = uuid4()
    await toy.decider(database).handle_batch(
        [remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(), 2))]
    )
    later = utc_now() + timedelta(hours=1)
    await database.execute("UPDATE waiting SET attempts = 3, next_at = $1", later)
    await toy.decider(database).handle_batch([unnumbered(till, Explode())])
    await database.execute("UPDATE waiting SET next_at = clock_timestamp() WHERE kind = 'command'")
    await agenda(database).sweep()
    fact, command = await waiting(database)
    assert (fact["attempts"], fact["next_at"], command["attempts"]) == (3, later, 2)


async def test_what_has_no_number_is_decided_whatever_waits_before_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.waiting.PAGE", 2)
    till, decider = uuid4(), toy.decider(database)
    await decider.handle_batch([remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(), 2))])
    await decider.handle_batch([remembered(heard(till, Add(1), n)) for n in (3, 4)])
    await decider.handle_batch([unnumbered(till, Explode(times=1))])
    await database.execute("UPDATE waiting SET next_at = clock_timestamp() WHERE kind = 'command'")
    await agenda(database).sweep()
    assert [(row["kind"], row["sequence"]) for row in await waiting(database)] == [("stream", n) for n in (2, 3, 4)]


async def test_all_that_has_no_number_is_tried_in_turn_and_none_before_its_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.waiting.PAGE", 2)
    till, decider = uuid4(), toy.decider(database)
    await decider.handle(asked(till, Add(1)))
    await decider.handle_batch([unnumbered(till, Explode()) for _ in range(5)])
    later = utc_now() + timedelta(hours=1)
    await database.execute("UPDATE waiting SET attempts = 4, next_at = clock_timestamp() WHERE id % 5 > 0")
    await database.execute("UPDATE waiting SET next_at = $1 WHERE id % 5 = 0", later)
    for _ in range(2):
        await agenda(database).sweep()
    assert not await is_due(database)
    assert sorted(row["attempts"] for row in await waiting(database)) == [1, 5, 5, 5, 5]


async def test_what_is_due_and_was_not_read_is_tried_in_a_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.waiting.PAGE", 2)
    till, decider = uuid4(), toy.decider(database)
    await decider.handle(asked(till, Add(1)))
    await decider.handle_batch([*(numbered(till, n) for n in (2, 3, 4)), numbered(till, 2, "shop")])
    await database.execute("UPDATE waiting SET next_at = clock_timestamp()")
    await agenda(database).sweep()
    assert not await is_due(database)
    await decider.handle_batch([numbered(till, 1), numbered(till, 1, "shop")])
    for _ in range(3):
        await agenda(database).sweep()
    assert await waiting(database) == []


async def test_an_operator_skips_what_is_listed_however_much_waits_before_it(
    database: Database, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.waiting.PAGE", 1)
    till = uuid4()
    await runtime.deciders["tills"].handle(asked(till, Add(1)))
    await runtime.deciders["tills"].handle_batch([unnumbered(till, Explode()) for _ in range(2)])
    later = replace(numbered(till, 1, "shop"), message=Explode())
    await runtime.deciders["tills"].handle_batch([numbered(till, 3), remembered(later)])
    for row in (await waiting(database))[::-1][:3]:
        if row["stream"] != "toy.commands.erp":
            await skip(runtime, row["id"], "planted")
    assert [row["stream"] for row in await waiting(database)] == [None, "toy.commands.erp"]
