"""Documents as they are heard: the highest number of each stands, in the table and in what a process holds of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chassis.database import Database
from chassis.decision import record
from chassis.documents import Documents, Reference
from contracts import workflow
from testkit import toy

pytestmark = pytest.mark.servers


@record
class Person:
    """What a decision needs of one."""

    active: bool


PEOPLE = Reference.of(workflow.Person, Person, cached=True)
ACTIVE, SWITCHED_OFF = '{"active": true}', '{"active": false}'


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


@pytest.mark.parametrize("ended", [False, True])
async def test_a_document_that_is_told_again_later_is_not_believed_again(database: Database, ended: bool) -> None:
    documents = Documents(database, [PEOPLE])
    await documents.store([("person", "ann", 1, ACTIVE)])
    assert documents.cached("person", "ann") == Person(True)
    await documents.store([("person", "ann", 2, None if ended else SWITCHED_OFF)])
    await documents.store([("person", "ann", 1, ACTIVE)])
    assert documents.cached("person", "ann") == (None if ended else Person(False))


async def aged(database: Database, minutes: int) -> None:
    """Let everything stored so far have been stored so long before."""
    await database.execute("UPDATE documents SET changed_at = changed_at - make_interval(mins => $1)", minutes)


async def test_what_another_process_stores_is_seen_whatever_this_one_stores_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.documents._REFRESH_SECONDS", 0.0)
    here, elsewhere = (Documents(database, [PEOPLE]) for _ in range(2))
    await elsewhere.store([("person", "ann", 1, ACTIVE)])
    await aged(database, 5)
    await here.refresh()
    assert here.cached("person", "ann") == Person(True)
    await elsewhere.store([("person", "ann", 2, SWITCHED_OFF)])
    await aged(database, 1)
    await here.store([("person", "bob", 1, ACTIVE)])
    await here.fetch([("person", "bob")])
    await here.refresh()
    assert here.cached("person", "ann") == Person(False)


async def test_a_process_that_begins_by_storing_holds_what_was_there_before(database: Database) -> None:
    await Documents(database, [PEOPLE]).store([("person", "ann", 1, ACTIVE)])
    await aged(database, 1)
    documents = Documents(database, [PEOPLE])
    await documents.store([("person", "bob", 1, SWITCHED_OFF)])
    await documents.refresh()
    assert sorted(person.active for person in documents.all("person")) == [False, True]
