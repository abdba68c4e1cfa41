"""Old months of the journal, with real partitions: dropped when wanted and not needed, and not a month too early."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from chassis.clock import utc_now
from chassis.database import Database
from chassis.provision import provision
from chassis.retention import drop_month, drop_old_months
from testkit import toy
from testkit.toy import Add, asked

pytestmark = pytest.mark.servers

OLD = date(2020, 5, 17)
TABLES = ("tills",)
_FACT = (
    "INSERT INTO journal (grp, seq, recorded_at, event_id, topic, type, version, key, subject, occurred_at) "
    "VALUES (0, $1, date_trunc('month', $2::date) + interval '1 hour', $3, 'toy.tills', 'toy.x', 1, 'k', $3, now())"
)


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


async def fact(database: Database, seq: int, month: date, subject: UUID | None = None) -> None:
    """A fact in a month, whose partition is made."""
    await database.read("SELECT journal_partition($1::date)", month)
    await database.execute(_FACT, seq, month, subject or uuid4())


async def published(database: Database, high: int, *holes: int) -> None:
    await database.execute(
        "INSERT INTO relay_cursor (grp, high, holes) VALUES (0, $1, $2) "
        "ON CONFLICT (grp) DO UPDATE SET high = excluded.high, holes = excluded.holes",
        high,
        list(holes),
    )


async def months_back(database: Database, months: int) -> date:
    (row,) = await database.read("SELECT (date_trunc('month', now()) - make_interval(months => $1))::date", months)
    found: date = row[0]
    return found


async def has(database: Database, month: date) -> bool:
    (row,) = await database.read("SELECT to_regclass($1) IS NOT NULL", f"journal_{month:%Y_%m}")
    return bool(row[0])


async def test_a_month_is_dropped_when_all_of_it_is_published(database: Database) -> None:
    for n in (1, 2):
        await fact(database, n, OLD)
    await published(database, 1)
    assert not await drop_month(database, OLD, TABLES)
    await published(database, 2, 1)
    assert not await drop_month(database, OLD, TABLES)
    await published(database, 2)
    assert await drop_month(database, OLD, TABLES)
    assert not await has(database, OLD)
    assert not await drop_month(database, OLD, TABLES)


async def test_a_month_with_a_fact_of_something_that_is_kept_is_needed_for_its_fold(database: Database) -> None:
    till = uuid4()
    await toy.decider(database).handle(asked(till, Add(1)))
    await fact(database, 1, OLD, till)
    await published(database, 1_000)
    assert not await drop_month(database, OLD, TABLES)
    await database.execute("DELETE FROM tills WHERE id = $1", till)
    assert await drop_month(database, OLD, TABLES)


async def test_as_many_whole_months_are_kept_as_the_setting_says_and_all_without_it(database: Database) -> None:
    kept, old = await months_back(database, 6), await months_back(database, 7)
    for n, month in enumerate((kept, old), start=1):
        await fact(database, n, month)
    await published(database, 2)
    assert await drop_old_months(database, 0, TABLES) == []
    assert await drop_old_months(database, 7, TABLES) == []
    assert await drop_old_months(database, 6, TABLES) == [old]
    assert (await has(database, kept), await has(database, old)) == (True, False)
    assert await drop_old_months(database, 6, TABLES) == []


async def test_this_month_is_never_dropped(database: Database) -> None:
    assert not await drop_month(database, utc_now().date(), TABLES)


async def test_a_drop_gives_up_before_it_holds_up_those_who_write(database: Database, fresh_database: Any) -> None:
    await fact(database, 1, OLD)
    await published(database, 1)
    async with database.begin() as reader:
        await reader.fetch("SELECT 1 FROM journal")
        assert not await drop_month(database, OLD, TABLES)
    assert await drop_month(database, OLD, TABLES)


async def test_the_runtime_login_drops_months_although_it_may_drop_no_table(fresh_database: Any, prefix: str) -> None:
    admin = (await fresh_database()).url
    (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    database = Database(mine.database_url)
    await fact(database, 1, OLD)
    connection = await asyncpg.connect(mine.relay_database_url)
    await connection.execute("INSERT INTO relay_cursor (grp, high) VALUES (0, 1)")
    await connection.close()
    assert await drop_old_months(database, 12, TABLES) == [OLD.replace(day=1)]
    await database.close()
