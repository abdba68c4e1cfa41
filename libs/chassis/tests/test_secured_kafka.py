"""A Kafka that speaks TLS alone and asks for a password: every client of a service gets in, and nobody else."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chassis import kafka, relay, stream, timers, wiring
from chassis.clock import utc_now
from chassis.service import Runtime
from chassis.topics import Topics
from contracts import registry, workflow
from contracts.billing import RemoveCharge
from embedded import jvm, storage
from embedded.kafka import Kafka
from embedded.process import Child
from testkit import toyservice
from testkit.eventually import eventually
from testkit.streams import PARTITIONS, body, headers
from testkit.toy import create
from testkit.toyhearing import BILLING

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

PASSWORD = "c4nary-K4FKA-p4ssword"
TOPICS = ("workflow.requests", "workflow.people", "workflow.asks", "billing.resent", "billing.dead-letters",
          "billing.asks", "billing.accounts")  # fmt: skip
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PLAIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="broker" password="b" user_broker="b" user_billing="{PASSWORD}";'
)
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that is its own authority: (with its key for the broker, alone for clients)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    public = made.public_bytes(serialization.Encoding.PEM)
    (directory / "broker.pem").write_bytes(secret + public)
    (directory / "ca.pem").write_bytes(public)
    return directory / "broker.pem", directory / "ca.pem"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A secured broker that knows billing's password by every mechanism: (where it listens, its authority)."""
    folder = tmp_path_factory.mktemp("certificates")
    key, authority = certificate(folder)
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": _PLAIN,
        "listener.name.plaintext.scram-sha-256.sasl.jaas.config": _SCRAM,
        "listener.name.plaintext.scram-sha-512.sasl.jaas.config": _SCRAM,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority),
    }
    with Kafka(settings=settings) as server:
        enter(server.bootstrap, authority, folder)
        yield server.bootstrap, authority


def enter(bootstrap: str, authority: Path, folder: Path) -> None:
    """Make billing's SCRAM credentials with Kafka's own tool, as an operator does."""
    settings = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": _PLAIN,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority),
    }
    storage.write(folder / "admin.properties", settings)
    for name in MECHANISMS[1:]:
        command = [
            *("kafka.admin.ConfigCommand", "--bootstrap-server", bootstrap),
            *("--command-config", str(folder / "admin.properties"), "--entity-type", "users"),
            *("--entity-name", "billing", "--alter", "--add-config", f"{name}=[password={PASSWORD}]"),
        ]
        tool = Child(jvm.command(command), log=folder / f"{name}.log", env=jvm.ENVIRONMENT)
        tool.finish(within=90, name="Kafka's configuration tool")


def access(broker: tuple[str, Path], mechanism: str) -> dict[str, Any]:
    """What a service's settings say of the broker."""
    bootstrap, authority = broker
    return {
        "kafka_bootstrap": bootstrap,
        "kafka_security": "SASL_SSL",
        "kafka_sasl_mechanism": mechanism,
        "kafka_username": "billing",
        "kafka_password": PASSWORD,
        "kafka_ca_file": authority,
    }


@pytest.fixture
def secured(broker: tuple[str, Path]) -> dict[str, Any]:
    """Settings with the mechanism that is meant where none is named."""
    return access(broker, "SCRAM-SHA-512")


def runtime(url: str, prefix: str, role: str, **secured: Any) -> Runtime:
    settings = toyservice.settings(url, Path("/nowhere/jwks.json"), prefix=prefix, **secured)
    return wiring.build(BILLING, settings, role)


@asynccontextmanager
async def at_work(url: str, prefix: str, secured: dict[str, Any]) -> AsyncIterator[Runtime]:
    """Worker, relay and timers, drained at the end."""
    roles = {"relay": relay.run, "timers": timers.run, "worker": stream.run}
    processes = [(runtime(url, prefix, name, **secured), role) for name, role in roles.items()]
    tasks = [asyncio.create_task(role(process)) for process, role in processes]
    try:
        yield processes[-1][0]
    finally:
        for process, _ in processes:
            process.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for process, _ in processes:
            await process.wakeup.close()
            await process.database.close()


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_service_hears_tells_is_commanded_and_answers(
    broker: tuple[str, Path], mechanism: str, fresh_database: Any, prefix: str
) -> None:
    secured = access(broker, mechanism)
    url = str((await fresh_database.template("toy", create)).url)
    await toyservice.register(url, "erp", "tills:write")
    till = uuid4()
    note = workflow.NoteAdded(note_id=uuid4(), note_no=5)
    async with at_work(url, prefix, secured) as process:
        options = kafka.options(process.settings)
        wanted = [*map(registry.topic, TOPICS), *registry.topics_of_client("erp", ("billing",))]
        await Topics(prefix, PARTITIONS, **options).apply(wanted)
        async with AIOKafkaProducer(**options) as producer:
            told = headers(prefix, note, till, 1)
            await producer.send_and_wait(f"{prefix}.workflow.requests", body(note), str(till).encode(), headers=told)
            await eventually(lambda: _total(process), within=60)
            said = headers(prefix, RemoveCharge, till, None, source="/erp")  # type: ignore[arg-type]
            value = orjson.dumps({"line_id": str(uuid4())})
            await producer.send_and_wait(f"{prefix}.billing.commands.erp", value, str(till).encode(), headers=said)
        consumer = AIOKafkaConsumer(f"{prefix}.billing.results.erp", auto_offset_reset="earliest", **options)
        async with consumer, asyncio.timeout(60):
            answer = orjson.loads((await consumer.getone()).value)
    assert (answer["subject"], answer["answer"]["total"]) == (str(till), 4)


async def _total(process: Runtime) -> int:
    return sum(row["total"] for row in await process.database.read("SELECT total FROM tills"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka_password": "c4nary-K4FKA-wrong"},
        {"kafka_password": "c4nary-K4FKA-wrong", "kafka_sasl_mechanism": "PLAIN"},
        {"kafka_username": "intake"},
        {"kafka_ca_file": None},
        {"kafka_security": "SSL", "kafka_username": None, "kafka_password": None},
        {"kafka_security": "SASL_PLAINTEXT"},
        {"kafka_security": "PLAINTEXT", "kafka_username": None, "kafka_password": None},
    ],
)
async def test_nobody_else_gets_in_and_no_password_is_printed(
    secured: dict[str, Any], wrong: dict[str, Any], prefix: str, capfd: pytest.CaptureFixture[str], caplog: Any
) -> None:
    process = runtime("postgresql://nobody@127.0.0.1:1/none", prefix, "worker", **{**secured, **wrong})
    async with asyncio.timeout(30):
        with pytest.raises((KafkaError, TimeoutError)) as refused:
            await asyncio.wait_for(stream.run(process), 10)
    said = capfd.readouterr()
    everything = f"{said.out}{said.err}{caplog.text}{refused.value!r}{process.settings!r}{process.settings}"
    assert "c4nary" not in everything
    await process.database.close()


def test_the_command_gets_in_too(secured: dict[str, Any], prefix: str) -> None:
    named = {f"THROUGHLINE_{name.upper()}": str(value) for name, value in secured.items()}
    environment = {
        **os.environ, **named, "THROUGHLINE_ENV": "test", "THROUGHLINE_PREFIX": prefix,
        "THROUGHLINE_ADMIN_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }  # fmt: skip
    command = [sys.executable, "-c", "from cli.main import run; run()", "topics", "plan", "--json"]
    planned = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (planned.returncode, planned.stderr) == (1, "")
    assert {each["what"] for each in json.loads(planned.stdout)} == {"missing"}
