"""Schemas, logins and rights against real PostgreSQL: each service sees its own schema and cannot change its shape."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from chassis.database import Database
from chassis.provision import Names, main, provision
from testkit import toy
from testkit.toy import Add, asked

pytestmark = pytest.mark.servers

MIGRATIONS = {"toy": "testkit.toymigrations", "other": "testkit.toymigrations"}


@pytest_asyncio.fixture
async def admin(fresh_database: Any) -> str:
    found: str = (await fresh_database()).url
    return found


@pytest_asyncio.fixture
async def connections() -> AsyncIterator[list[asyncpg.Connection]]:
    opened: list[asyncpg.Connection] = []
    yield opened
    for connection in opened:
        await connection.close()


async def enter(connections: list[asyncpg.Connection], url: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    connections.append(connection)
    return connection


async def test_a_runtime_login_decides_in_its_schema_and_cannot_read_another(
    admin: str, prefix: str, connections: Any
) -> None:
    mine, theirs = await provision(admin, MIGRATIONS, prefix=prefix)
    database = Database(mine.database_url)
    outcome = await toy.decider(database).handle(asked(uuid4(), Add(3)))
    assert outcome.refused is None
    await database.close()
    connection = await enter(connections, mine.database_url)
    assert await connection.fetchval("SELECT count(*) FROM tills") == 1
    for other in (Names("other", prefix).schema, "public"):
        with pytest.raises(asyncpg.PostgresError, match=r"permission denied|does not exist"):
            await connection.fetch(f"SELECT * FROM {other}.tills")
    assert await (await enter(connections, theirs.database_url)).fetchval("SELECT count(*) FROM tills") == 0


@pytest.mark.parametrize(
    "forbidden",
    [
        "TRUNCATE tills",
        "DROP TABLE tills",
        "ALTER TABLE tills ADD COLUMN x int",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE mine (x int)",
        "DELETE FROM journal",
        "UPDATE journal SET data = NULL",
        "UPDATE journal SET personal = NULL",
        "UPDATE relay SET epoch = 9",
        "INSERT INTO clients (name) VALUES ('me')",
        "UPDATE alembic_version SET version_num = 'x'",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
    ],
)
async def test_a_runtime_login_may_not(admin: str, prefix: str, connections: Any, forbidden: str) -> None:
    (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    connection = await enter(connections, mine.database_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(forbidden)


async def test_only_the_erasing_role_nulls_personal_fields_and_nothing_else(
    admin: str, prefix: str, connections: Any
) -> None:
    (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    connection = await enter(connections, mine.database_url)
    await connection.execute(f'SET ROLE "{Names("toy", prefix).eraser}"')
    await connection.execute("UPDATE journal SET personal = NULL, command = NULL, private = NULL")
    for forbidden in ("UPDATE journal SET data = NULL", "DELETE FROM journal", "SELECT * FROM tills"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forbidden)


async def test_the_relay_reads_the_journal_and_moves_its_cursor_only(admin: str, prefix: str, connections: Any) -> None:
    (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    connection = await enter(connections, mine.relay_database_url)
    await connection.fetch("SELECT * FROM journal")
    await connection.execute("UPDATE relay SET epoch = epoch + 1")
    await connection.execute("SELECT journal_partition('2031-05-01')")
    for forbidden in ("SELECT * FROM tills", "SELECT * FROM documents", "INSERT INTO claims VALUES ('x', NULL)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forbidden)


async def test_two_installations_live_side_by_side_by_their_prefix(admin: str, prefix: str, connections: Any) -> None:
    urls = [
        (await provision(admin, {"toy": "testkit.toymigrations"}, prefix=name))[0].database_url
        for name in (f"{prefix}a", f"{prefix}b")
    ]
    till = uuid4()
    for url, amount in zip(urls, (1, 2), strict=True):
        database = Database(url)
        await toy.decider(database).handle(asked(till, Add(amount)))
        await database.close()
    totals = [await (await enter(connections, url)).fetchval("SELECT total FROM tills") for url in urls]
    assert totals == [1, 2]


async def test_provisioning_again_keeps_what_is_there_and_a_given_password(
    admin: str, prefix: str, connections: Any
) -> None:
    passwords = {Names("toy", prefix).app: "a'b\"c$1"}
    for _ in range(2):
        (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix, passwords=passwords)
        connection = await enter(connections, mine.database_url)
        await connection.execute("INSERT INTO claims VALUES (gen_random_uuid()::text, gen_random_uuid())")
    assert await connection.fetchval("SELECT count(*) FROM claims") == 2


async def test_logins_give_up_on_statements_locks_and_idle_transactions(
    admin: str, prefix: str, connections: Any
) -> None:
    (mine,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    connection = await enter(connections, mine.database_url)
    for name, value in (("statement_timeout", "30s"), ("lock_timeout", "3s"), ("idle_in_transaction_session_timeout", "15s")):  # fmt: skip  # noqa: E501
        assert await connection.fetchval(f"SHOW {name}") == value


def test_provisioning_without_its_settings_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THROUGHLINE_KAFKA_BOOTSTRAP", "k:1")
    monkeypatch.delenv("THROUGHLINE_ADMIN_DATABASE_URL", raising=False)
    assert main(["toy"]) == 2
    assert capsys.readouterr().err == "provision: THROUGHLINE_ADMIN_DATABASE_URL is not set\n"
    monkeypatch.setenv("THROUGHLINE_ADMIN_DATABASE_URL", "postgresql://x@y/z")
    monkeypatch.setenv("TOY_DATABASE_URL", "postgresql://toy_app@h/d")
    assert main(["toy"]) == 2
    assert capsys.readouterr().err == "provision: no password for toy_app in <SERVICE>_DATABASE_URL\n"
    monkeypatch.setenv("TOY_DATABASE_URL", "postgresql://someone:p@h/d")
    assert main(["toy"]) == 2
    assert capsys.readouterr().err == "provision: TOY_DATABASE_URL: the login must be toy_app\n"
