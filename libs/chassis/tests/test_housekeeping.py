"""Rows that have had their time are deleted, and no others."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from chassis.database import Database
from chassis.housekeeping import tidy
from testkit import toy
from testkit.toy import Add, asked

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    fresh = await fresh_database.template("toy", toy.create)
    database = Database(fresh.url)
    yield database
    await database.close()


async def test_an_answer_goes_when_nobody_can_ask_for_it_again(database: Database) -> None:
    decider, till, old, young = toy.decider(database), uuid4(), uuid4(), uuid4()
    for key in (old, young):
        await decider.handle(asked(till, Add(1), id=key, remember=True))
    await database.execute("UPDATE message_ids SET kept_until = clock_timestamp() - interval '1 ms' WHERE id = $1", old)
    assert await tidy(database) == 1
    rows = await database.read(
        "SELECT id, kept_until - clock_timestamp() > interval '71 hours' AS kept FROM message_ids"
    )
    assert [(row["id"], row["kept"]) for row in rows] == [(young, True)]
    assert await tidy(database) == 0


async def test_an_answer_is_kept_twice_as_long_as_its_command_may_come_again(database: Database) -> None:
    decider, till = toy.decider(database), uuid4()
    await decider.handle(asked(till, Add(1), remember=True))
    await decider.handle(asked(till, Add(1), remember=True, reply_to="erp"))
    rows = await database.read(
        "SELECT round(extract(epoch FROM kept_until - clock_timestamp()) / 3600)::int AS hours FROM message_ids "
        "ORDER BY kept_until"
    )
    assert [row["hours"] for row in rows] == [72, 14 * 24]
