"""Rows of an old shape: folded anew by a release that folds otherwise, in pages, without harm to anything else."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from chassis.clock import utc_now
from chassis.database import Database
from chassis.decider import Decider
from chassis.decision import changed
from chassis.documents import Documents
from chassis.refolding import Reshaping, in_order
from chassis.writing import Writer
from testkit import toy
from testkit.toy import Add, CountAt, Receipt, Take, Till, asked, heard

pytestmark = pytest.mark.servers


def evolve(state: Till | None, fact: Any) -> Till:
    """The next release's fold: `counted` counts what was taken out. A till with 13 in it is a planted defect."""
    till = toy.evolve(state, fact)
    if till.total == 13:
        raise ZeroDivisionError("planted")
    return changed(till, counted=till.counted + 1) if isinstance(fact, toy.Added) and fact.amount < 0 else till


NEXT = replace(
    toy.TILLS,
    shape=2,
    evolve=evolve,
    agenda=lambda state: {("count", "-"): state.count_at - timedelta(days=1)} if state.count_at else {},
)


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


def next_release(database: Database) -> Decider[Till]:
    return Decider(NEXT, database, Documents(database), Writer("toy", toy.PARTITIONS, toy.CLASSES))


async def row(database: Database, till: UUID) -> dict[str, Any]:
    (found,) = await database.read("SELECT *, state::text AS text FROM tills WHERE id = $1", till)
    return {**dict(found), "state": orjson.loads(found["text"])}


async def shapes(database: Database) -> list[int]:
    return [found["shape"] for found in await database.read("SELECT shape FROM tills ORDER BY shape")]


async def test_a_row_of_an_old_shape_becomes_what_the_new_fold_says_and_wakes_when_it_says(database: Database) -> None:
    till, at = uuid4(), utc_now() + timedelta(days=3)
    await toy.decider(database).handle_batch(
        [heard(till, Add(5), 1), asked(till, Take(2)), asked(till, CountAt(at)), asked(till, Receipt())]
    )
    before = await row(database, till)
    assert (before["shape"], before["state"]["counted"]) == (1, 0)
    assert await Reshaping(database, [NEXT]).page() == 1
    after = await row(database, till)
    assert (after["shape"], after["state"]["counted"], after["state"]["total"]) == (2, 1, 3)
    kept = ("sequence", "heard", "edit_version", "blocked", "created_at", "total")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["version"] == before["version"] + 1
    (wake,) = await database.read("SELECT at FROM wake WHERE subject = $1", till)
    assert wake["at"] == at - timedelta(days=1)


async def test_a_row_keeps_its_old_shape_until_all_of_its_facts_were_folded_anew(database: Database) -> None:
    till, born = uuid4(), uuid4()
    await toy.decider(database).handle_batch([asked(till, Add(5)), asked(till, Take(2))])
    await next_release(database).handle_batch([asked(till, Take(1)), asked(born, Add(1))])
    assert ((await row(database, till))["shape"], (await row(database, born))["shape"]) == (1, 2)
    assert (await row(database, till))["state"]["counted"] == 1
    assert await Reshaping(database, [NEXT]).page() == 1
    assert (await row(database, till))["state"]["counted"] == 2
    await toy.decider(database).handle(asked(till, Take(1)))
    assert (await row(database, till))["shape"] == 1
    assert await Reshaping(database, [NEXT]).page() == 1
    assert (await row(database, till))["state"]["counted"] == 3


async def test_rows_are_taken_in_pages_until_none_is_left(database: Database) -> None:
    await toy.decider(database).handle_batch([asked(uuid4(), Add(1)) for _ in range(5)])
    reshaping = Reshaping(database, [NEXT])
    assert [await reshaping.page(2) for _ in range(4)] == [2, 2, 1, 0]
    assert await shapes(database) == [2] * 5


async def test_a_row_that_cannot_be_folded_is_left_and_its_neighbours_go_on(database: Database) -> None:
    await toy.decider(database).handle_batch([asked(uuid4(), Add(amount)) for amount in (13, 1, 2)])
    reshaping = Reshaping(database, [NEXT])
    assert [await reshaping.page(1) for _ in range(4)] == [1, 1, 1, 0]
    assert await shapes(database) == [1, 2, 2]


async def test_rows_of_a_later_release_are_left_alone(database: Database) -> None:
    await next_release(database).handle(asked(uuid4(), Add(1)))
    assert await Reshaping(database, [toy.TILLS]).page() == 0
    assert await shapes(database) == [2]


async def test_a_state_that_this_release_cannot_read_is_mended(database: Database) -> None:
    till = uuid4()
    await toy.decider(database).handle(asked(till, Add(5)))
    await database.execute('UPDATE tills SET state = \'{"total": "of old"}\' WHERE id = $1', till)
    assert await Reshaping(database, [NEXT]).page() == 1
    assert (await next_release(database).handle(asked(till, Take(1)))).refused is None
    assert (await row(database, till))["state"]["total"] == 4


def test_facts_of_two_groups_are_folded_in_the_order_they_were_recorded_in() -> None:
    drafted, published = {"grp": 3, "seq": 9, "recorded_at": 1}, {"grp": 1, "seq": 2, "recorded_at": 2}
    assert in_order([published, drafted]) == [drafted, published]


def test_facts_of_one_group_are_folded_by_their_numbers_even_when_the_clock_went_back() -> None:
    first, second = {"grp": 3, "seq": 1, "recorded_at": 2}, {"grp": 3, "seq": 2, "recorded_at": 1}
    assert in_order([first, second]) == [first, second]
