"""Which installation a command speaks to."""

import os
from pathlib import Path

import pytest

from cli import operating, site
from cli.console import Failed
from cli.running import directory


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("THROUGHLINE_") or name.endswith("_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))


def running(pid: int) -> directory.Running:
    return directory.Running(pid, "acme", "127.0.0.1:1", "postgresql://x@y/z", "issuer", {"intake": "http://i"})


def test_the_installation_that_is_up_here_is_found(tmp_path: Path) -> None:
    with directory.claim(tmp_path):
        directory.write(tmp_path, running(os.getpid()))
        found = site.find()
    assert (found.prefix, found.services) == ("acme", {"intake": "http://i"})
    assert found.kafka_options() == {"bootstrap_servers": "127.0.0.1:1"}
    assert found.administrator() == "postgresql://x@y/z"


def test_what_a_killed_one_left_is_none(tmp_path: Path) -> None:
    directory.claim(tmp_path).close()
    directory.write(tmp_path, running(os.getpid()))
    with pytest.raises(Failed, match="no installation is up here"):
        site.find()


def test_one_directory_takes_one_installation_at_a_time(tmp_path: Path) -> None:
    with directory.claim(tmp_path), pytest.raises(Failed, match=r"is up in .* already"):
        directory.claim(tmp_path)
    directory.claim(tmp_path).close()


def test_old_temporary_directories_without_an_owner_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, young, alive = (directory.temporary() for _ in range(3))
    for place in (killed, young, alive):
        directory.claim(place).close()
    for place in (killed, alive):
        os.utime(place, (0, 0))
    with directory.claim(alive):
        os.utime(alive, (0, 0))
        assert directory.sweep() == [killed]
    assert sorted(tmp_path.iterdir()) == sorted((young, alive))


def test_without_one_the_command_says_how_to_start_one() -> None:
    with pytest.raises(Failed, match="throughline up"):
        site.find()


def test_the_environment_goes_before_what_is_up_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.write(tmp_path, running(os.getpid()))
    monkeypatch.setenv("THROUGHLINE_KAFKA_BOOTSTRAP", "kafka:9092")
    with pytest.raises(Failed, match="DATABASE_URL"):
        site.find()
    monkeypatch.setenv("THROUGHLINE_ADMIN_DATABASE_URL", "postgresql://admin@db/x")
    monkeypatch.setenv("BILLING_URL", "https://billing.example/")
    found = site.find()
    assert found.kafka_options()["bootstrap_servers"] == ["kafka:9092"]
    assert (found.administrator(), found.services) == (
        "postgresql://admin@db/x",
        {"billing": "https://billing.example"},
    )


def test_tokens_are_made_by_our_own_issuer_alone(tmp_path: Path) -> None:
    here = site.Site("", 12, {}, None, {}, issuer=tmp_path / "issuer")
    assert here.token("ann", "requests:read").count(".") == 2
    with pytest.raises(Failed, match="issuer"):
        site.Site("", 12, {}, None, {}).token("ann", "requests:read")


async def test_doors_that_are_not_known_are_named() -> None:
    with pytest.raises(Failed, match="INTAKE_URL"):
        await operating.doors(site.Site("", 12, {}, None, {}, given_token="t"))
