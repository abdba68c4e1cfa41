"""Five services, one shape: who knows one of them finds everything in the others."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("intake", "workflow", "approvals", "billing", "notifications")

SHAPE = (
    "README.md",
    "pyproject.toml",
    "src/{name}/__main__.py",
    "src/{name}/main.py",
    "src/{name}/settings.py",
    "src/{name}/commands.py",
    "src/{name}/handlers.py",
    "src/{name}/routes.py",
    "src/{name}/deciders.py",
    "src/{name}/schemas.py",
    "src/{name}/events.py",
    "src/{name}/store.py",
    "src/{name}/tables.py",
    "src/{name}/domain/__init__.py",
    "src/{name}/domain/messages.py",
    "src/{name}/domain/facts.py",
    "src/{name}/domain/state.py",
    "src/{name}/domain/refusals.py",
    "src/{name}/migrations/env.py",
    "src/{name}/py.typed",
    "tests/unit",
    "tests/service",
)


def missing(root: Path, service: str) -> list[str]:
    """What a service lacks. A module may be a package once it has grown: one file a resource."""
    home = root / "services" / service
    wanted = [part.format(name=service) for part in SHAPE]
    return [part for part in wanted if not (home / part).exists() and not (home / part).with_suffix("").is_dir()]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_files(service: str) -> None:
    assert missing(ROOT, service) == []


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_are_numbered_without_a_gap(service: str) -> None:
    names = sorted(path.name for path in ROOT.glob(f"services/{service}/src/{service}/migrations/versions/[0-9]*.py"))
    assert names
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_there_is_no_service_beside_the_five() -> None:
    assert {path.name for path in (ROOT / "services").iterdir() if path.is_dir()} == set(SERVICES)


def test_a_missing_file_is_seen_and_a_package_is_as_good_as_a_file(tmp_path: Path) -> None:
    for part in SHAPE:
        path = tmp_path / "services/shop" / part.format(name="shop")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if "." not in path.name else path.touch()
    assert missing(tmp_path, "shop") == []
    routes = tmp_path / "services/shop/src/shop/routes.py"
    routes.unlink()
    assert missing(tmp_path, "shop") == ["src/shop/routes.py"]
    routes.with_suffix("").mkdir()
    assert missing(tmp_path, "shop") == []
