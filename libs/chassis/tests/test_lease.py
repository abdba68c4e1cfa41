"""The lease on a schema's journal: whoever held it before can write nothing any more."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from chassis.database import Database
from chassis.holes import Cursor, saved
from chassis.lease import Lease, LeaseLost
from testkit import toy

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    fresh = await fresh_database.template("toy", toy.create)
    database = Database(fresh.url)
    yield database
    await database.close()


async def highs(database: Database) -> list[int]:
    return [row["high"] for row in await database.read("SELECT high FROM relay_cursor ORDER BY grp")]


async def test_one_at_a_time_holds_it_until_it_runs_out(database: Database) -> None:
    first, second = Lease(database, 2, timedelta(hours=1)), Lease(database, 2)
    assert await first.take() is not None
    assert await second.take() is None
    await first.release()
    assert await second.take() is not None


async def test_whoever_held_it_before_moves_no_cursor_and_is_told(database: Database) -> None:
    stale, new = Lease(database, 2, timedelta(0)), Lease(database, 2, timedelta(hours=1))
    await stale.take()
    await stale.save([0], [saved(Cursor(5))])
    assert await new.take() == {0: Cursor(5), 1: Cursor()}
    await new.save([0], [saved(Cursor(9))])
    for group in (0, 1):
        with pytest.raises(LeaseLost):
            await stale.save([group], [saved(Cursor(7))])
    assert await highs(database) == [9, 0]
    (row,) = await database.read("SELECT lease_until > clock_timestamp() + interval '50 minutes' AS kept FROM relay")
    assert row["kept"]


async def test_a_stale_holder_does_not_give_up_the_lease_of_the_next(database: Database) -> None:
    stale, new = Lease(database, 2, timedelta(0)), Lease(database, 2, timedelta(hours=1))
    await stale.take()
    await new.take()
    await stale.release()
    assert await Lease(database, 2).take() is None
