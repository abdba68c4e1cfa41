"""Partitions of the journal: made ahead."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from chassis.database import Database
from chassis.upkeep import MONTHS_AHEAD, partitions_ahead
from testkit import toy


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
