"""Processes of a service: they say where they listen, do without Kafka, drain, and do not outlive each other."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis import naming
from chassis.provision import provision
from testkit import toyservice
from testkit.chaos import skewed
from testkit.eventually import eventually
from testkit.scraping import scrape

pytestmark = pytest.mark.servers


class Started:
    """One process of the toy service."""

    def __init__(self, role: str, environment: dict[str, str], directory: Path, *, module: str) -> None:
        self.role = role
        self.output = directory / f"{role}-{uuid4().hex}.log"
        self._file = self.output.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--role", role],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    def lines(self) -> list[dict[str, Any]]:
        """What it has said so far that is JSON."""
        found = self.output.read_text().splitlines()
        return [json.loads(line) for line in found if line.startswith("{")]

    def relays(self) -> list[int]:
        """The relay's process, once it has said that it listens."""
        return [line["pid"] for line in self.lines() if line.get("event") == "listening" and line["role"] == "relay"]

    async def url(self) -> str:
        """Where it listens; raises when it ends first."""

        def listening() -> str:
            if self.process.poll() is not None:
                raise RuntimeError(self.output.read_text())
            said = [line for line in self.lines() if line.get("event") == "listening" and line["role"] == self.role]
            return f"http://{said[0]['host']}:{said[0]['port']}" if said else ""

        found: str = await eventually(listening, within=120)
        return found

    async def ended(self) -> int:
        """Its exit status."""
        status: int = await asyncio.wait_for(asyncio.to_thread(self.process.wait), 110)
        return status

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._file.close()


@pytest_asyncio.fixture
async def environment(fresh_database: Any, prefix: str, tmp_path: Path) -> dict[str, str]:
    """Settings of a toy service whose schema is there and whose Kafka is not."""
    admin = (await fresh_database()).url
    (provided,) = await provision(admin, {"toy": "testkit.toymigrations"}, prefix=prefix)
    schema = await asyncpg.connect(admin, server_settings={"search_path": f"{prefix}_toy"})
    await schema.execute("INSERT INTO clients (name, scopes) VALUES ('erp', '{tills:write,tills:read}')")
    await schema.close()
    toyservice.issuer(tmp_path)
    return {
        "THROUGHLINE_ENV": "test",
        "THROUGHLINE_PREFIX": prefix,
        "THROUGHLINE_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "THROUGHLINE_JWKS_URL": (tmp_path / "jwks.json").as_uri(),
        "THROUGHLINE_ISSUER": toyservice.ISSUER,
        "THROUGHLINE_PARTITIONS": "4",
        "THROUGHLINE_DRAIN_SECONDS": "10",
        "TOY_DATABASE_URL": provided.database_url,
        "TOY_RELAY_DATABASE_URL": provided.relay_database_url,
    }


@pytest_asyncio.fixture
async def start(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Callable[..., Started]]:
    started: list[Started] = []

    def run(role: str, *, module: str = "testkit.toymain", **changed: str) -> Started:
        started.append(Started(role, {**environment, **changed}, tmp_path, module=module))
        return started[-1]

    yield run
    for each in started:
        each.close()


def headers(tmp_path: Path) -> dict[str, str]:
    token = toyservice.issuer(tmp_path).token("erp", "tills:write tills:read")
    return {"authorization": f"Bearer {token}", "idempotency-key": uuid4().hex}


async def test_an_api_accepts_with_kafka_away_and_drains_to_status_0(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    port_file = tmp_path / "port.json"
    api = start("api", THROUGHLINE_PORT_FILE=str(port_file))
    url = await api.url()
    assert url.endswith(f":{json.loads(port_file.read_text())['port']}")
    async with httpx2.AsyncClient(base_url=url) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = await client.post("/toy/v1/tills", json={"amount": 3}, headers=headers(tmp_path))
        assert answer.status_code == 201, answer.text
    api.process.send_signal(signal.SIGTERM)
    assert await api.ended() == 0
    assert api.lines()[-1]["event"] == "drained"


@pytest.mark.skipif(skewed.missing() is not None, reason=str(skewed.missing()))
@pytest.mark.parametrize("role", ["api", "worker", "timers", "relay"])
async def test_whatever_a_process_does_it_tells_by_how_much_its_clock_is_wrong(
    start: Callable[..., Started], role: str
) -> None:
    url = await start(role, **skewed.believing("+1h")).url()

    async def told() -> float:
        metrics = await scrape(url, only={"clock_skew_seconds"})
        return metrics[0].samples[0].value if metrics else 0.0

    assert await eventually(told, within=30) == pytest.approx(3600, abs=5)


async def test_a_process_that_kills_itself_after_the_commit_has_kept_what_it_never_answered(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    doomed, said = start("api", THROUGHLINE_FAILPOINTS="group.committed=kill@2"), headers(tmp_path)
    async with httpx2.AsyncClient(base_url=await doomed.url()) as client:
        assert (await client.post("/toy/v1/tills", json={"amount": 3}, headers=headers(tmp_path))).status_code == 201
        with pytest.raises(httpx2.TransportError):
            await client.post("/toy/v1/tills", json={"amount": 4}, headers=said)
    assert await doomed.ended() == -signal.SIGKILL
    async with httpx2.AsyncClient(base_url=await start("api").url()) as client:
        answer = await client.post("/toy/v1/tills", json={"amount": 4}, headers=said)
    assert (answer.status_code, answer.headers["idempotent-replay"]) == (201, "true")


async def test_requests_in_hand_are_answered_while_the_process_drains(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    api = start("api")
    url = await api.url()
    async with httpx2.AsyncClient(base_url=url) as client:
        slow = asyncio.create_task(
            client.get(f"/toy/v1/tills/{uuid4()}", headers={**headers(tmp_path), "prefer": "wait=2"})
        )
        await client.get("/livez")
        api.process.send_signal(signal.SIGTERM)
        assert (await slow).status_code == 404
    assert await api.ended() == 0


async def test_a_worker_waits_for_kafka_alive_but_not_ready(start: Callable[..., Started]) -> None:
    worker = start("worker")
    url = await worker.url()

    def waits() -> bool:
        return any(line["event"] == "role_waits" and "Kafka" in line["why"] for line in worker.lines())

    await eventually(waits, within=120)
    async with httpx2.AsyncClient(base_url=url) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/toy/v1/tills")).status_code == 404
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_an_api_without_its_schema_starts_and_says_that_it_is_not_ready(
    start: Callable[..., Started], fresh_database: Any
) -> None:
    api = start("api", TOY_DATABASE_URL=(await fresh_database()).url)
    url = await api.url()
    async with httpx2.AsyncClient(base_url=url) as client:
        answer = await client.get("/readyz?verbose")
        assert answer.status_code == 503
        assert "this release needs 0001" in answer.json()["checks"]["database"]


async def test_a_wrong_setting_refuses_the_start_with_status_2(start: Callable[..., Started]) -> None:
    refused = start("api", TOY_PARTITIONS="none")
    assert await refused.ended() == 2
    assert refused.output.read_text().startswith("toy: TOY_PARTITIONS: ")


async def test_a_role_that_dies_ends_the_process_with_status_1(start: Callable[..., Started]) -> None:
    dying = start("dying", module="testkit.toydying")
    assert await dying.ended() == 1
    assert any(line["event"] == "role_died" and "planted" in line["exception"] for line in dying.lines())


async def test_all_in_one_publishes_through_a_relay_of_its_own_that_ends_with_it(
    start: Callable[..., Started], tmp_path: Path, kafka: Any, prefix: str
) -> None:
    topic = naming.topic(prefix, "toy.tills")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 4, 1), NewTopic(naming.topic(prefix, "toy.asks"), 1, 1)])
    await admin.close()
    everything = start("all", THROUGHLINE_KAFKA_BOOTSTRAP=kafka.bootstrap)
    async with httpx2.AsyncClient(base_url=await everything.url()) as client:
        answer = await client.post("/toy/v1/tills", json={"amount": 3}, headers=headers(tmp_path))
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    record = await asyncio.wait_for(consumer.getone(), 60)
    await consumer.stop()
    assert (record.key.decode(), json.loads(record.value)) == (answer.json()["id"], {"amount": 3, "total": 3})
    (relay,) = await eventually(everything.relays, within=120)
    everything.process.kill()
    await everything.ended()
    await eventually(lambda: not _runs(relay), within=120)


async def test_all_in_one_ends_when_its_relay_dies(start: Callable[..., Started], kafka: Any) -> None:
    everything = start("all", THROUGHLINE_KAFKA_BOOTSTRAP=kafka.bootstrap)

    (relay,) = await eventually(everything.relays, within=120)
    os.kill(relay, signal.SIGKILL)
    assert await everything.ended() == 1


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
