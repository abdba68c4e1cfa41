"""A table that somebody holds for longer than anybody waits for a lock: not available, and nothing is broken."""

from typing import Any
from uuid import uuid4

import pytest

from chassis.database import Database, Unavailable
from testkit import toy
from testkit.toy import Add, asked

pytestmark = pytest.mark.servers


async def test_a_table_that_stays_locked_is_not_available_to_deciders_and_readers(fresh_database: Any) -> None:
    place = await fresh_database.template("toy", toy.create)
    holder = await Database(place.url).connect()
    name = await holder.fetchval("SELECT current_database()")
    await holder.execute(f"ALTER DATABASE {name} SET lock_timeout = '200ms'")
    database = Database(place.url)
    try:
        await holder.execute("BEGIN; LOCK TABLE tills IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="lock timeout"):
            await toy.decider(database).handle(asked(uuid4(), Add(1)))
        with pytest.raises(Unavailable, match="lock timeout"):
            await database.read("SELECT count(*) FROM tills")
        await holder.execute("COMMIT")
        outcome = await toy.decider(database).handle(asked(uuid4(), Add(1)))
        assert outcome.error is None
    finally:
        await holder.close()
        await database.close()
