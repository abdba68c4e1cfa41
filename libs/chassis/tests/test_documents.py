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


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


@pytest.mark.parametrize("ended", [False, True])
async def test_a_document_that_is_told_again_later_is_not_believed_again(database: Database, ended: bool) -> None:
    documents = Documents(database, [Reference.of(workflow.Person, Person, cached=True)])
    switched_off = None if ended else '{"active": false}'
    await documents.store([("person", "ann", 1, '{"active": true}')])
    assert documents.cached("person", "ann") == Person(True)
    await documents.store([("person", "ann", 2, switched_off)])
    await documents.store([("person", "ann", 1, '{"active": true}')])
    assert documents.cached("person", "ann") == (None if ended else Person(False))
