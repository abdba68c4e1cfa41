"""Kafka of its own: kept data, crashes, freezes, and what is said when it cannot be had."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from embedded import Kafka, NotAvailable, jars, jvm, storage
from embedded.jars import Jar
from embedded.jvm import java


async def make_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


async def end_of(bootstrap: str, name: str) -> int:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        place = TopicPartition(name, 0)
        return int((await consumer.end_offsets([place]))[place])


@pytest.mark.servers
async def test_a_killed_broker_comes_back_with_its_records_and_its_clients_go_on(tmp_path: Path) -> None:
    begun = time.time()
    with Kafka(tmp_path) as kafka:
        assert jvm.kept().stat().st_mtime >= begun - 1, "what it was started from is marked as used"
        await make_topic(kafka.bootstrap, "kept")
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True) as producer:
            await producer.send_and_wait("kept", b"x" * 1_000_000)
            bootstrap = kafka.bootstrap
            await asyncio.to_thread(kafka.restart)
            assert kafka.bootstrap == bootstrap
            await asyncio.wait_for(producer.send_and_wait("kept", b"after"), 20)
        assert await end_of(kafka.bootstrap, "kept") == 2


@pytest.mark.servers
async def test_a_frozen_broker_answers_nobody_until_it_goes_on(tmp_path: Path) -> None:
    with Kafka(tmp_path) as kafka:
        await make_topic(kafka.bootstrap, "slow")
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True) as producer:
            await producer.send_and_wait("slow", b"before")
            kafka.pause()
            sending = asyncio.ensure_future(producer.send_and_wait("slow", b"meanwhile"))
            done, _ = await asyncio.wait({sending}, timeout=0.5)
            assert not done
            kafka.resume()
            await asyncio.wait_for(sending, 20)


@pytest.mark.servers
@pytest.mark.skipif(not jvm.learns(), reason="the Java that was named may not keep what it learns")
def test_what_is_kept_to_start_quicker_knows_a_brokers_classes(tmp_path: Path) -> None:
    with Kafka(tmp_path):
        assert b"kafka/server/BrokerServer" in jvm.learnt().read_bytes()


def test_what_is_kept_for_other_jars_goes_once_nobody_used_it_for_three_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mine, cache = jvm.kept(), tmp_path / "throughline"
    days = {mine: 30, cache / "kafka-young": 2.9, cache / "kafka-old": 3.1, cache / "jars": 30}
    for folder, ago in days.items():
        (folder / "formatted").mkdir(parents=True)
        os.utime(folder, (0, time.time() - ago * 86400))
    storage.prune()
    assert set(cache.iterdir()) == days.keys() - {cache / "kafka-old"}
    storage.in_use()
    assert time.time() - mine.stat().st_mtime < 60


def test_every_jar_of_the_lock_has_its_own_name_and_a_sha256() -> None:
    locked = jars.locked()
    assert len({jar.name for jar in locked}) == len(locked) > 40
    assert all(len(jar.sha256) == 64 for jar in locked)


def test_a_cached_jar_that_was_changed_is_noticed_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = Jar("g", "a", "1", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")  # of "foo"
    (tmp_path / jar.name).write_text("bar")
    monkeypatch.setattr(jars, "_fetch", lambda _, scratch: _write(scratch / "got", "foo"))
    jars.fetch([jar], tmp_path)
    assert (tmp_path / jar.name).read_text() == "foo"


def test_a_fetched_jar_with_another_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = Jar("g", "a", "1", "0" * 64)
    monkeypatch.setattr(jars, "_fetch", lambda _, scratch: _write(scratch / "got", "foo"))
    with pytest.raises(NotAvailable, match=r"g:a:1 does not have the SHA-256"):
        jars.fetch([jar], tmp_path)
    assert not (tmp_path / jar.name).exists()


def test_what_cannot_be_fetched_is_named_in_one_line_with_what_serves_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(NotAvailable) as told:
        jars.fetch([Jar("org.apache.kafka", "kafka-clients", "4.3.1", "0" * 64)], tmp_path)
    line = str(told.value)
    assert line.startswith("org.apache.kafka:kafka-clients:4.3.1, a part of Apache Kafka, could not be fetched")
    assert "KAFKA_BOOTSTRAP" in line
    assert "DATABASE_URL" in line
    assert "\n" not in line


def test_a_named_java_wins_and_must_be_runnable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THROUGHLINE_JAVA", "/bin/true")
    assert java() == "/bin/true"
    monkeypatch.setenv("THROUGHLINE_JAVA", str(tmp_path / "java"))
    with pytest.raises(NotAvailable, match="THROUGHLINE_JAVA names"):
        java()
    monkeypatch.delenv("THROUGHLINE_JAVA")
    assert java().endswith("java")


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
