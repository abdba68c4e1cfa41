"""What a recovery writes, against real PostgreSQL: what still waits in the restored schema goes on by itself."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from chassis import rewriting
from chassis.clock import utc_now
from chassis.database import Database
from chassis.deadletters import RECOVERED
from chassis.documents import Documents, Lookup
from chassis.reading import Reader, wanted_by
from chassis.recalling import Pen
from testkit import toy
from testkit.toy import Add, Added, Explode, Take, heard
from testkit.toywaiting import agenda, remembered

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


async def restored(database: Database, till: UUID) -> Pen[toy.Till]:
    """A till as its row stands."""
    documents, reader = Documents(database), Reader(toy.TILLS)
    wanted = wanted_by(toy.TILLS, [], documents.is_cached, documents.own_tables, ())
    sql, arguments = reader.query([till], wanted)
    reading = reader.take(await database.read(sql, *arguments), [till], wanted)
    return Pen(toy.TILLS, till, reading.rows[till], lambda asked: Lookup(documents, reading, {}, asked))


async def test_what_waits_behind_a_message_that_was_carried_out_after_the_backup_is_decided(database: Database) -> None:
    till = uuid4()
    stream = [heard(till, Add(1), 1), heard(till, Explode(), 2), heard(till, Add(1), 3)]
    await toy.decider(database).handle_batch([remembered(one) for one in stream])
    pen = await restored(database, till)
    pen.heard["other.things"] = 2
    async with database.begin() as connection:
        await rewriting.write(connection, toy.TILLS, [pen], toy.PARTITIONS, {})
    await agenda(database).sweep()
    (row,) = await database.read("SELECT total, blocked FROM tills WHERE id = $1", till)
    assert (row["total"], row["blocked"]) == (2, None)
    assert await database.read("SELECT 1 FROM waiting") == []


async def test_a_dead_letter_that_was_redelivered_and_decided_after_the_backup_is_put_away(database: Database) -> None:
    till = uuid4()
    letters = [heard(till, Take(9), n) for n in (2, 3)]
    await toy.decider(database).handle_batch([heard(till, Add(1), 1), *letters])
    pen = await restored(database, till)
    pen.note(Added(-9, -8), 0, letters[0], utc_now())
    async with database.begin() as connection:
        await rewriting.write(connection, toy.TILLS, [pen], toy.PARTITIONS, {})
    rows = await database.read("SELECT resolved_at IS NULL AS open, resolution FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in rows] == [(False, RECOVERED), (True, None)]
