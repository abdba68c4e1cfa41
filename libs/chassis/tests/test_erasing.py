"""Erasing a person, as the runtime login: personal fields vanish, the facts stay; nobody else is touched."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from chassis import timers
from chassis.database import Database
from chassis.erasing import Eraser
from chassis.provision import Names, provision
from testkit import toy, toyhearing
from testkit.eventually import eventually

pytestmark = pytest.mark.servers

_FACT = (
    "INSERT INTO journal (grp, seq, event_id, type, version, key, subject, occurred_at, command, persons, data, "
    "personal, private) VALUES (0, nextval('journal_seq_0'), $1, 'toy.x', 1, 'k', $2, now(), '{\"c\": \"canary\"}', "
    'ARRAY[$3::uuid], \'{"amount": 1}\', \'{"name": "canary"}\', \'{"text": "canary"}\')'
)
_JOURNAL = "SELECT persons[1] AS person, data::text, row_to_json(journal)::text AS all FROM journal"


async def test_whose_document_has_ended_is_erased_and_nobody_else(fresh_database: Any, prefix: str) -> None:
    admin = (await fresh_database()).url
    (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    gone, stays = uuid4(), uuid4()
    connection = await asyncpg.connect(mine.database_url)
    for person in (gone, stays):
        subject = uuid4()
        await connection.execute(_FACT, uuid4(), subject, person)
        await connection.execute(
            "INSERT INTO message_ids (id, subject, answer, edit_version, sequence, kept_until) "
            "VALUES ($1, $2, '{\"name\": \"canary\"}', 1, 1, now())", uuid4(), subject,
        )  # fmt: skip
    for person, doc in ((gone, None), (stays, json.dumps({"name": "x"}))):
        await connection.execute(
            "INSERT INTO documents (kind, id, sequence, doc) VALUES ('contact', $1, 1, $2)", str(person), doc
        )
    database = Database(mine.database_url)
    eraser = Eraser(database, {})
    assert [await eraser.step(), await eraser.step()] == [1, 0]
    await database.close()
    rows = await connection.fetch(_JOURNAL)
    answers = await connection.fetch("SELECT answer::text FROM message_ids ORDER BY length(answer::text)")
    await connection.close()
    by_person = {UUID(str(row["person"])): row for row in rows}
    assert "canary" not in by_person[gone]["all"]
    assert json.loads(by_person[gone]["data"]) == {"amount": 1}
    assert by_person[stays]["all"].count("canary") == 3
    assert [row["answer"] for row in answers] == ["{}", '{"name": "canary"}']
    assert Names("toy", prefix).eraser.endswith("_toy_eraser")


async def test_erasing_begins_again_after_a_failure_that_nobody_expected(fresh_database: Any) -> None:
    url, person = (await fresh_database.template("toy", toy.create)).url, str(uuid4())
    process = toyhearing.runtime(toyhearing.BILLING, url, "127.0.0.1:1", "", "timers")
    database = process.database
    await database.execute("ALTER TABLE documents RENAME TO away")
    await database.execute("INSERT INTO away (kind, id, sequence) VALUES ('contact', $1, 1)", person)
    with capture_logs() as said:
        role = asyncio.create_task(timers.run(process))
        await eventually(lambda: [line for line in said if line["event"] == "work_beside_failed"])
    await database.execute("ALTER TABLE away RENAME TO documents")

    async def erased() -> bool:
        return bool(await database.read("SELECT 1 FROM documents WHERE erased_at IS NOT NULL"))

    try:
        assert await eventually(erased, within=20)
    finally:
        process.stopping.set()
        await asyncio.wait_for(role, 20)
        await process.wakeup.close()
        await database.close()
