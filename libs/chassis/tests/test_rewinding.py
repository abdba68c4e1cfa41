"""Around a recovery, against real servers: who may enter the database meanwhile, and afterwards."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from chassis import naming, rewinding
from chassis.provision import Names, provision
from chassis.rewinding import StillUp, let_in, shut_out
from testkit.eventually import eventually
from testkit.streams import make_topics

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def admin(fresh_database: Any, prefix: str) -> AsyncIterator[asyncpg.Connection]:
    """The administrator of a database in which the toy has its logins."""
    url = (await fresh_database()).url
    await provision(url, {"toy": "testkit.toymigrations"}, prefix=prefix)
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def member(kafka: Any, prefix: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A process that consumes as the toy does, and asks the database nothing."""
    await make_topics(kafka.bootstrap, prefix, ("workflow.requests",))
    consumer = AIOKafkaConsumer(
        f"{prefix}.workflow.requests", bootstrap_servers=kafka.bootstrap, group_id=naming.group(prefix, "toy")
    )
    await consumer.start()
    await eventually(consumer.assignment)
    yield consumer
    await consumer.stop()


async def may_enter(admin: asyncpg.Connection, names: Names) -> list[bool]:
    logins = [names.app, names.relay]
    rows = await admin.fetch("SELECT rolcanlogin FROM pg_roles WHERE rolname = ANY($1::text[])", logins)
    return [row["rolcanlogin"] for row in rows]


@pytest.mark.parametrize("begun", [False, True], ids=["the first", "after one that was killed"])
async def test_a_recovery_that_cannot_begin_leaves_the_logins_as_they_were(
    admin: Any, kafka: Any, prefix: str, member: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    names, groups = Names("toy", prefix), [naming.group(prefix, "toy")]
    where = {"bootstrap_servers": kafka.bootstrap}
    if begun:
        await shut_out(admin, names, where, [])
    monkeypatch.setattr(rewinding, "_LEFT_WITHIN", 0.0)
    with pytest.raises(StillUp, match=r"has 1 member"):
        await shut_out(admin, names, where, groups)
    assert await may_enter(admin, names) == [not begun] * 2


async def test_whoever_consumed_is_waited_for_until_it_has_left(
    admin: Any, kafka: Any, prefix: str, member: AIOKafkaConsumer
) -> None:
    names, groups = Names("toy", prefix), [naming.group(prefix, "toy")]
    await member.stop()
    await shut_out(admin, names, {"bootstrap_servers": kafka.bootstrap}, groups)
    assert await may_enter(admin, names) == [False, False]
    await let_in(admin, names)
    assert await may_enter(admin, names) == [True, True]
