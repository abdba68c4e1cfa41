"""What the fixtures promise, on the run's own servers."""

import asyncio

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from testkit import Databases
from testkit.plugin import KafkaServer, PostgresServer


async def query(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def with_colours(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE colours AS SELECT 'green' AS name")
    await connection.close()


async def test_the_server_is_postgresql_18_and_flushes_to_disk(postgres: PostgresServer) -> None:
    assert str(await query(postgres.url, "SHOW server_version")).startswith("18")
    assert await query(postgres.url, "SHOW fsync") == "on"


async def test_a_fresh_database_is_empty_and_ones_own(fresh_database: Databases) -> None:
    one, other = await fresh_database(), await fresh_database()
    await with_colours(one.url)
    assert one.name != other.name
    assert await query(other.url, "SELECT to_regclass('colours')") is None


async def test_a_template_is_built_once_and_cloned_for_everybody(fresh_database: Databases, prefix: str) -> None:
    built: list[str] = []

    async def build(url: str) -> None:
        built.append(url)
        await with_colours(url)

    clones = await asyncio.gather(*(fresh_database.template(prefix, build) for _ in range(3)))
    assert len(built) == 1
    await query(clones[0].url, "TRUNCATE colours")
    assert [await query(clone.url, "SELECT count(*) FROM colours") for clone in clones] == [0, 1, 1]


async def test_a_template_whose_build_failed_is_built_again(fresh_database: Databases, prefix: str) -> None:
    async def half(url: str) -> None:
        await with_colours(url)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await fresh_database.template(prefix, half)
    clone = await fresh_database.template(prefix, with_colours)
    assert await query(clone.url, "SELECT count(*) FROM colours") == 1


async def test_databases_are_dropped_after_their_test_even_while_somebody_is_in(
    postgres: PostgresServer, prefix: str
) -> None:
    databases = Databases(postgres.url, prefix)
    database = await databases()
    inside = await asyncpg.connect(database.url)
    await databases.close()
    found = await query(postgres.url, f"SELECT count(*) FROM pg_database WHERE datname = '{database.name}'")
    assert found == 0
    inside.terminate()


async def test_a_database_can_be_entered_as_somebody_else(fresh_database: Databases, prefix: str) -> None:
    database = await fresh_database()
    await query(database.url, f"CREATE ROLE {prefix} LOGIN PASSWORD 'p@ss/word'")
    assert await query(database.as_user(prefix, "p@ss/word"), "SELECT current_user") == prefix
    await query(database.url, f"DROP ROLE {prefix}")


async def test_kafka_keeps_a_record_and_a_group_reads_it(kafka: KafkaServer, prefix: str) -> None:
    topic = f"{prefix}.things"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 3, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, b"v", key=b"k")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap, group_id=prefix, auto_offset_reset="earliest"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 10)
    assert (record.key, record.value) == (b"k", b"v")


def test_prefixes_differ_and_are_fit_for_sql_and_topics(prefix: str) -> None:
    assert prefix.isidentifier()
    assert prefix == prefix.lower()
