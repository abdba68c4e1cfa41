"""Partitions of the journal: made ahead, dropped only when nothing of them is still to be published."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import uuid4

import pytest_asyncio

from chassis.clock import utc_now
from chassis.database import Database
from chassis.upkeep import MONTHS_AHEAD, drop_month, partitions_ahead
from testkit import toy

OLD = date(2020, 5, 17)


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


async def partitions(database: Database) -> set[str]:
    rows = await database.read(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'journal'::regclass"
    )
    return {row["name"] for row in rows} - {"journal_default"}


async def test_partitions_are_made_ahead_and_only_once(database: Database) -> None:
    (row,) = await database.read(
        "SELECT to_char(clock_timestamp() + make_interval(months => $1), 'YYYY_MM')", MONTHS_AHEAD
    )
    await partitions_ahead(database)
    first = await partitions(database)
    assert f"journal_{row[0]}" in first
    await partitions_ahead(database)
    assert await partitions(database) == first


async def test_a_month_is_dropped_when_all_of_it_is_published(database: Database) -> None:
    await database.read("SELECT journal_partition($1::date)", OLD)
    insert = (
        "INSERT INTO journal (grp, seq, recorded_at, event_id, topic, type, version, key, subject, occurred_at) "
        "VALUES (0, $1, $2::date + interval '1 hour', $3, 'toy.tills', 'toy.x', 1, 'k', $3, $2::date)"
    )
    for n in (1, 2):
        await database.execute(insert, n, OLD, uuid4())
    await database.execute("INSERT INTO relay_cursor (grp, high, holes) VALUES (0, 1, '{}')")
    assert not await drop_month(database, OLD)
    await database.execute("UPDATE relay_cursor SET high = 2, holes = '{1}'")
    assert not await drop_month(database, OLD)
    await database.execute("UPDATE relay_cursor SET holes = '{}'")
    assert await drop_month(database, OLD)
    assert "journal_2020_05" not in await partitions(database)
    assert not await drop_month(database, OLD)


async def test_this_month_is_never_dropped(database: Database) -> None:
    assert not await drop_month(database, utc_now().date())
