"""pytest plugin: what tests of any member may ask for.

One PostgreSQL and one Kafka serve a whole run and all its workers. They start when the first test asks, and end with
the process that pytest was started as. A test that asks for one carries the mark `servers` by itself.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings

from testkit.databases import Databases, drop_all
from testkit.eventually import eventually as wait_for
from testkit.sharing import Kind, Office, Servers, ask

os.environ.setdefault("THROUGHLINE_FROZEN_RECORDS", "1")  # read when the first record is declared, after this

ASKS_FOR_SERVERS = {"postgres", "kafka", "fresh_database"}

Address = Callable[[Kind], str]
address_key = pytest.StashKey[Address]()
run_key = pytest.StashKey[str]()
servers_key = pytest.StashKey[Servers]()
office_key = pytest.StashKey[Office]()


@dataclass(frozen=True)
class PostgresServer:
    """The run's PostgreSQL; `url` is its superuser's."""

    url: str


@dataclass(frozen=True)
class KafkaServer:
    """The run's Kafka; `bootstrap` is host:port."""

    bootstrap: str


def pytest_configure(config: pytest.Config) -> None:
    be_patient()
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[run_key] = worker["throughline_run"]
        port, key = worker["throughline_door"]
        config.stash[address_key] = lambda kind: ask((port, key), kind)
        return
    servers = Servers()
    config.stash[run_key] = f"t{secrets.token_hex(4)}"
    config.stash[servers_key] = servers
    config.stash[address_key] = servers.address


def be_patient() -> None:
    """A slow example says something about the machine, not about the rule: hypothesis does not judge by time.

    `THROUGHLINE_TEST_SHRINK=0` is for who wants to know only whether a test fails: the first example will do.
    """
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("throughline", patient)
    settings.register_profile(
        "throughline-first", patient, phases=[Phase.explicit, Phase.generate], report_multiple_bugs=False
    )
    settings.load_profile("throughline-first" if os.environ.get("THROUGHLINE_TEST_SHRINK") == "0" else "throughline")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: tell a new worker the run's name and where to ask for servers."""
    stash: pytest.Stash = node.config.stash
    if office_key not in stash:
        stash[office_key] = Office(stash[servers_key])
    node.workerinput["throughline_run"] = stash[run_key]
    node.workerinput["throughline_door"] = stash[office_key].door


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if office_key in config.stash:
        config.stash[office_key].close()
    if servers_key in config.stash:
        servers = config.stash[servers_key]
        if servers.started and servers.backend.name == "given":
            asyncio.run(drop_all(servers.backend.postgres(), config.stash[run_key]))
        servers.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ASKS_FOR_SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresServer:
    """The run's PostgreSQL. Tests want `fresh_database`; this is for what concerns a whole server."""
    return PostgresServer(pytestconfig.stash[address_key]("postgres"))


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> KafkaServer:
    """The run's Kafka. It is shared: name topics and groups with `prefix`, and never stop it."""
    return KafkaServer(pytestconfig.stash[address_key]("kafka"))


@pytest_asyncio.fixture
async def fresh_database(postgres: PostgresServer, pytestconfig: pytest.Config) -> AsyncIterator[Databases]:
    """`await fresh_database()` is an empty database, `await fresh_database.template(name, build)` a clone."""
    databases = Databases(postgres.url, pytestconfig.stash[run_key])
    yield databases
    await databases.close()


@pytest.fixture
def prefix() -> str:
    """Unique to this test; fit for topics, groups, schemas and roles."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`await eventually(probe, within=seconds)`: poll until true, fail with the last answer."""
    return wait_for
