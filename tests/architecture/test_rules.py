"""Rules about code that no linter knows; a planted breach of each shows that the guard sees it."""

import subprocess
from pathlib import Path

import pytest

from testkit import architecture

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A house with one service, and its folder of sources."""
    folder = tmp_path / "services/shop/src/shop"
    (folder / "domain").mkdir(parents=True)
    return folder


def house_of(shop: Path) -> Path:
    return shop.parents[3]


def test_domains_import_the_standard_library_and_the_words_of_a_domain_alone() -> None:
    assert architecture.worldly_domains(ROOT) == []


def test_nobody_steps_into_the_traps_of_the_bus() -> None:
    assert architecture.bus_traps(ROOT) == []


def test_services_put_no_sql_together() -> None:
    assert architecture.formatted_sql(ROOT) == []


@pytest.mark.parametrize(
    "line", ["import orjson", "from chassis import clock", "from shop.store import x", "from contracts.intake import Y"]
)
def test_a_worldly_domain_is_seen(shop: Path, line: str) -> None:
    (shop / "domain/rules.py").write_text(f"{line}\n")
    assert len(architecture.worldly_domains(house_of(shop))) == 1


@pytest.mark.parametrize(
    "line", ["import datetime", "from chassis.decision import record", "from shop.domain import x"]
)
def test_what_a_domain_may_import_is_not_reported(shop: Path, line: str) -> None:
    (shop / "domain/rules.py").write_text(f"{line}\n")
    assert architecture.worldly_domains(house_of(shop)) == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("broker.publish_batch(a, b, topic='t')", 1),
        ("from faststream.kafka.fastapi import KafkaRouter", 1),
        ("broker.subscriber('t')", 2),
        ("broker.subscriber('t', no_reply=True)", 1),
        ("broker.subscriber('t', ack_policy=AckPolicy.MANUAL, no_reply=True)", 0),
    ],
)
def test_a_trap_of_the_bus_is_seen(shop: Path, line: str, count: int) -> None:
    (shop / "handlers.py").write_text(f"{line}\n")
    assert len(architecture.bus_traps(house_of(shop))) == count


@pytest.mark.parametrize(
    ("line", "count"), [('x = f"SELECT * FROM r WHERE id = {id}"', 1), ('x = f"{n} of {m} selected"', 0)]
)
def test_formatted_sql_is_seen(shop: Path, line: str, count: int) -> None:
    (shop / "store.py").write_text(f"{line}\n")
    assert len(architecture.formatted_sql(house_of(shop))) == count


def foreign_addresses(text: str) -> list[str]:
    """Addresses of package registries and paths of one machine, which no file of the repository may hold."""
    words = ["repo1" + ".maven", "files." + "pythonhosted", "pypi.org/" + "simple", "/ro" + "ot/", "/wo" + "rk/"]
    words += ["registry." + "npmjs", "--index" + "-url", "--extra-index" + "-url"]
    return [word for word in words if word in text]


def test_no_file_names_a_registry_or_a_place_on_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {
        name: words
        for name in listed.split("\0")
        if name and (ROOT / name).is_file()
        if (words := foreign_addresses((ROOT / name).read_text(errors="replace")))
    }
    assert found == {}


def test_a_registry_address_is_seen() -> None:
    assert foreign_addresses("https://files." + "pythonhosted.org/packages/x.whl") != []
