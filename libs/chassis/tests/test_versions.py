"""Facts in several versions: read as one class, written as one; what only a newer release can read is not forgotten."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chassis import timers
from chassis.asked import Asked
from chassis.database import Database
from chassis.decision import record
from chassis.erasing import Eraser
from chassis.hearing import Dead, Ear, Stream
from chassis.journal import Codec, NewerVersion
from chassis.provision import provision
from chassis.refolding import Reshaping
from chassis.service import Service
from contracts import workflow
from testkit import toy, toyhearing
from testkit.eventually import eventually
from testkit.streams import body, headers
from testkit.toy import Add, Take, asked

_STATED_BY_THE_NEXT = (
    "INSERT INTO journal (grp, seq, event_id, topic, type, version, key, subject, occurred_at, data, persons, private) "
    "SELECT grp, nextval('journal_seq_' || grp), gen_random_uuid(), topic, type, 2, key, subject, occurred_at, "
    '\'{"by": 100}\', ARRAY[$2::uuid], \'{"text": "canary"}\' FROM journal WHERE subject = $1 LIMIT 1'
)
_GIVEN_UP = "UPDATE waiting SET next_at = NULL, attempts = 7 WHERE reason = 'version-unknown'"


@record
class Put:
    """What was called `amount` in version 1, and is called `by` in version 2."""

    by: int
    text: str | None = None


def reading_version_2() -> Service:
    stream = Stream(into=toy.TILLS)
    stream.handlers = {(name, 2): how for (name, _), how in toyhearing.STREAM.handlers.items()}
    stream.listen("workflow.requests")
    return dataclasses.replace(toyhearing.BILLING, stream=stream)


def next_codec() -> Codec:
    codec = Codec()
    codec.noted(Put, "toy.put", 2, private=("text",))
    codec.also_reads(Put, "toy.put", 1, lambda values: {**values, "by": values["amount"]})
    return codec


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


def test_a_version_that_is_not_written_is_read_as_the_one_that_is() -> None:
    codec = next_codec()
    assert codec.decode("toy.put", 1, '{"amount": 5}', None, '{"text": "x"}') == Put(5, "x")
    assert codec.decode("toy.put", 2, '{"by": 5}', None, '{"text": "x"}') == Put(5, "x")
    assert codec.encode(Put(5))[:2] == ("toy.put", 2)
    assert codec.published("toy.put", 1, b'{"amount": 5}') == ('{"amount":5}', None)
    assert codec.erased("toy.put", 1, '{"text": "x"}') == '{"text":null}'


def test_a_version_has_one_reader() -> None:
    with pytest.raises(ValueError, match=r"toy\.put\.v1 is read twice"):
        next_codec().also_reads(Put, "toy.put", 1, dict)
    with pytest.raises(ValueError, match=r"toy\.put\.v2 is read twice"):
        next_codec().also_reads(Put, "toy.put", 2, dict)


def test_a_version_that_only_a_newer_release_reads_is_not_passed_over() -> None:
    codec = next_codec()
    assert [codec.reads("toy.put", 1), codec.reads("toy.put", 2), codec.reads("toy.taken", 3)] == [True, True, False]
    with pytest.raises(NewerVersion, match=r"toy\.put\.v3 is newer than this release"):
        codec.reads("toy.put", 3)


def person_said(version: int, value: bytes | None, suffix: str = "") -> SimpleNamespace:
    key = UUID(int=7)
    said = headers("t", workflow.Person, key, 1, version=version, type=f"{workflow.Person.type}{suffix}")
    return SimpleNamespace(
        topic="t.workflow.people", partition=0, offset=5, key=str(key).encode(), value=value, headers=said
    )


@pytest.mark.parametrize(("version", "reason"), [(1, "body-invalid"), (2, "version-unknown")])
def test_a_document_of_a_newer_version_is_a_dead_letter_where_its_kind_is_read(version: int, reason: str) -> None:
    said = person_said(version, b"{}")
    found = Ear("billing", "t", None, {"person": workflow.Person}).decode(said)
    assert isinstance(found, Dead)
    assert found.reason == reason
    assert Ear("billing", "t", None, {"team": workflow.Team}).decode(said) is None


@pytest.mark.parametrize("version", [1, 2])
def test_a_document_ends_by_a_tombstone_of_any_version(version: int) -> None:
    said = person_said(version, None, "-erased")
    found = Ear("billing", "t", None, {"person": workflow.Person}).decode(said)
    assert found == ("person", str(UUID(int=7)), 1, None)
    assert Ear("billing", "t", None, {"team": workflow.Team}).decode(said) is None


@pytest.mark.servers
async def test_a_row_with_a_fact_of_a_newer_version_is_not_folded_without_it(database: Database) -> None:
    till = uuid4()
    await toy.decider(database).handle_batch([asked(till, Add(5)), asked(till, Take(2))])
    await database.execute(_STATED_BY_THE_NEXT, till, uuid4())
    before = await database.read("SELECT version, shape, state::text FROM tills")
    with capture_logs() as said:
        assert await Reshaping(database, [dataclasses.replace(toy.TILLS, shape=2)]).page() == 1
    assert [line["event"] for line in said if line["log_level"] == "error"] == ["row_not_reshaped"]
    assert await database.read("SELECT version, shape, state::text FROM tills") == before


@pytest.mark.servers
async def test_nobody_is_erased_by_a_release_that_could_not_tell_what_must_stay(
    fresh_database: Any, prefix: str
) -> None:
    (mine,) = await provision((await fresh_database()).url, {"toy": "testkit.toymigrations"}, prefix=prefix)
    database, till, person = Database(mine.database_url), uuid4(), uuid4()
    decider = toy.decider(database)
    await decider.handle(asked(till, Add(5)))
    await database.execute(_STATED_BY_THE_NEXT, till, person)
    await database.execute("INSERT INTO documents (kind, id, sequence) VALUES ('contact', $1, 1)", str(person))
    with capture_logs() as said:
        assert await Eraser(database, {"tills": decider}).step() == 0
    assert [line["event"] for line in said if line["log_level"] == "error"] == ["not_erased"]
    kept = await database.read("SELECT private::text FROM journal WHERE version = 2")
    due = await database.read("SELECT 1 FROM documents WHERE erased_at IS NULL")
    await database.close()
    assert ([orjson.loads(row[0]) for row in kept], len(due)) == ([{"text": "canary"}], 1)


@pytest.mark.servers
async def test_a_release_that_begins_decides_what_an_older_one_could_not_read(fresh_database: Any) -> None:
    """Also when the older one has tried so often that it left the fact to an operator."""
    url = (await fresh_database.template("toy", toy.create)).url
    database = Database(url)
    till, note = uuid4(), workflow.NoteAdded(note_id=UUID(int=8), note_no=3)
    said = SimpleNamespace(
        topic="workflow.requests", partition=0, offset=5, key=str(till).encode(), value=body(note),
        headers=headers("", note, till, 1, version=2),
    )  # fmt: skip
    older = Ear("billing", "", toyhearing.STREAM, {}).decode(said)
    assert isinstance(older, Asked)
    await toy.decider(database).handle(older)
    assert (await database.execute(_GIVEN_UP)).endswith(" 1")

    process = toyhearing.runtime(reading_version_2(), url, "127.0.0.1:1", "", "timers")
    role = asyncio.create_task(timers.run(process))

    async def decided() -> bool:
        return [row["total"] for row in await database.read("SELECT total FROM tills")] == [3]

    try:
        assert await eventually(decided, within=20)
        assert await database.read("SELECT 1 FROM waiting") == []
    finally:
        process.stopping.set()
        await asyncio.wait_for(role, 20)
        await process.wakeup.close()
        await process.database.close()
        await database.close()
