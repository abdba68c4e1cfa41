"""What the relay relies on of every write: its id before its first number, and numbers in the order of commits."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from chassis import asking, failpoints
from chassis.database import Database
from chassis.history import history
from testkit import toy
from testkit.toy import Add, Forward, asked, heard

pytestmark = pytest.mark.servers

_GUARD = """
CREATE FUNCTION has_an_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_current_xact_id_if_assigned() IS NULL THEN RAISE 'a number was drawn by a transaction without id'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER has_an_id BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION has_an_id();
"""


@pytest_asyncio.fixture
async def place(fresh_database: Any) -> Any:
    return await fresh_database.template("toy", toy.create)


@pytest_asyncio.fixture
async def database(place: Any) -> AsyncIterator[Database]:
    database = Database(place.url)
    yield database
    await database.close()


async def test_a_write_of_nothing_but_facts_has_its_transaction_id_before_its_first_number(database: Database) -> None:
    connection = await database.connect()
    await connection.execute(_GUARD)
    await connection.close()
    for _ in range(3 * toy.PARTITIONS):  # the first number of a sequence is logged, and gives its transaction an id
        assert await asking.ask(database, "billing", toy.PARTITIONS, uuid4(), "workflow.requests", 0)
    assert len(await database.read("SELECT 1 FROM journal")) == 3 * toy.PARTITIONS


async def test_numbers_of_the_journal_come_in_the_order_of_commits_whichever_connection_writes(place: Any) -> None:
    pair = [Database(place.url, size=1) for _ in range(2)]
    till = uuid4()
    for n in range(6):
        await toy.decider(pair[n % 2]).handle(asked(till, Add(1)))
    numbers = [row["seq"] for row in sorted(await history(pair[0], till), key=lambda row: row["sequence"])]
    assert numbers == sorted(numbers)
    for database in pair:
        await database.close()


class _Dies(BaseException):
    """A process ends here."""


class _Deadly:
    """Failpoints of which one ends whoever reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def reach(self, name: str) -> None:
        if name == self.name:
            raise _Dies


async def test_whoever_dies_right_after_the_commit_leaves_reactions_and_answers_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, key = uuid4(), uuid4(), uuid4()
    await toy.decider(database).handle(asked(one, Add(5)))
    monkeypatch.setattr(failpoints, "armed", _Deadly("commit.after"))
    with pytest.raises(_Dies):
        await toy.decider(database).handle_batch([asked(one, Forward(two, 3), id=key, remember=True)])
    monkeypatch.setattr(failpoints, "armed", None)
    rows = await database.read("SELECT kind, subject FROM waiting")
    assert [(row["kind"], row["subject"]) for row in rows] == [("reaction", two)]
    again = await toy.decider(database).handle(asked(one, Forward(two, 3), id=key, remember=True))
    assert again.replayed


_ROW = "SELECT state::text AS state, shape, total, sequence, version, heard::text AS heard FROM tills WHERE id = $1"


async def _stands_otherwise(database: Database, till: UUID, state: str) -> None:
    """Let the row be as a release with another shape left it."""
    await database.execute("UPDATE tills SET state = $2::text::json, shape = 0, total = 42 WHERE id = $1", till, state)


async def test_a_fact_that_states_nothing_moves_a_position_and_leaves_the_state_as_it_is_stored(
    database: Database,
) -> None:
    decider, till = toy.decider(database), uuid4()
    await decider.handle(asked(till, Add(1)))
    [before] = await database.read(_ROW, till)
    spaced = before["state"].replace(":", " :  ")
    await _stands_otherwise(database, till, spaced)
    await decider.handle_batch([heard(till, None, 1), heard(till, None, 2)])
    [row] = await database.read(_ROW, till)
    assert (row["state"], row["shape"], row["total"], row["sequence"]) == (spaced, 0, 42, before["sequence"])
    assert (row["version"], orjson.loads(row["heard"])) == (before["version"] + 1, {"other.things": 2})
    await decider.handle_batch([heard(till, Add(2), 3)])
    [row] = await database.read(_ROW, till)
    assert (orjson.loads(row["state"])["total"], row["total"]) == (3, 3)


async def test_a_fact_that_nothing_is_made_of_passes_a_state_that_cannot_be_read_and_others_wait(
    database: Database,
) -> None:
    decider, till = toy.decider(database), uuid4()
    await decider.handle(asked(till, Add(1)))
    await _stands_otherwise(database, till, '{"of": "another release"}')
    [passed] = await decider.handle_batch([heard(till, None, 1)])
    [held] = await decider.handle_batch([heard(till, Add(2), 2)])
    [row] = await database.read(_ROW, till)
    assert (passed.waiting, held.waiting) == (False, True)
    assert (row["state"], orjson.loads(row["heard"])) == ('{"of": "another release"}', {"other.things": 1})
