"""The import contracts and banned calls of the root pyproject.toml bite: each is shown a breach and must refuse it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOW = "services/workflow/src/workflow"

INDEPENDENCE = "No service imports another"
HOUSE = "The test kit and the command stand on services, those on chassis, that on contracts"
SERVING = "What serves never imports what starts or tests it"
LAYERS = "Inside a service imports point at the domain"
DOMAIN = "A domain knows no clock, no store, no bus and no framework"
WORDS = "The words of a domain come from the standard library alone"
CONTRACTS = "Contracts stand on Pydantic alone"
SETTINGS = "Settings are read by main alone"

BREACHES = [
    (INDEPENDENCE, f"{WORKFLOW}/store.py", "import billing"),
    (INDEPENDENCE, f"{WORKFLOW}/events.py", "import intake.domain"),
    (HOUSE, "libs/chassis/src/chassis/ids.py", "import billing"),
    (HOUSE, "libs/contracts/src/contracts/__init__.py", "import chassis.ids"),
    (HOUSE, "services/billing/src/billing/store.py", "import cli"),
    (SERVING, "libs/chassis/src/chassis/clock.py", "import embedded"),
    (SERVING, "services/billing/src/billing/store.py", "import testkit"),
    (LAYERS, f"{WORKFLOW}/tables.py", "import workflow.store"),
    (LAYERS, f"{WORKFLOW}/handlers.py", "import workflow.routes"),
    (LAYERS, f"{WORKFLOW}/domain/__init__.py", "import workflow.tables"),
    (LAYERS, f"{WORKFLOW}/helpers.py", "X = 1"),
    (DOMAIN, f"{WORKFLOW}/domain/__init__.py", "import sqlalchemy"),
    (DOMAIN, f"{WORKFLOW}/domain/__init__.py", "import time"),
    (DOMAIN, f"{WORKFLOW}/domain/__init__.py", "import os"),
    (DOMAIN, f"{WORKFLOW}/domain/__init__.py", "import contracts"),
    (DOMAIN, f"{WORKFLOW}/domain/__init__.py", "from chassis import clock"),
    (WORDS, "libs/chassis/src/chassis/decision.py", "import pydantic"),
    (CONTRACTS, "libs/contracts/src/contracts/__init__.py", "import fastapi"),
    (SETTINGS, f"{WORKFLOW}/store.py", "import workflow.settings"),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of all sources, in which a breach can be planted."""
    for source in (*ROOT.glob("libs/*/src"), *ROOT.glob("services/*/src")):
        ignored = shutil.ignore_patterns("__pycache__", "*.lock", "*.json")
        shutil.copytree(source, tmp_path / source.relative_to(ROOT), ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(house: Path) -> str:
    """What the linter says about the copy, each contract on one line."""
    paths = [str(path) for path in (*house.glob("libs/*/src"), *house.glob("services/*/src"))]
    told = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--no-logo"],
        cwd=house,
        env=os.environ | {"PYTHONPATH": ":".join(paths), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    return told.stdout + told.stderr


@pytest.mark.parametrize(("contract", "file", "line"), BREACHES)
def test_a_planted_import_breaks_its_contract(house: Path, contract: str, file: str, line: str) -> None:
    path = house / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as source:
        source.write(f"\n{line}\n")
    for layer in ("routes", "settings", "store", "tables"):
        (house / WORKFLOW / f"{layer}.py").touch()
    told = lint_imports(house)
    assert f"{contract} BROKEN" in told, told


def test_without_a_breach_every_contract_is_kept(house: Path) -> None:
    told = lint_imports(house)
    assert "BROKEN" not in told
    assert all(f"{contract} KEPT" in told for contract, _, _ in BREACHES), told


def ruff(file: str, code: str) -> str:
    told = subprocess.run(
        [BIN / "ruff", "check", "--output-format", "concise", "--stdin-filename", file, "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
    )
    return told.stdout + told.stderr


NOW = 'from datetime import UTC, datetime\n\nprint("x", datetime.now(UTC))\n'
ENVIRONMENT = 'import os\n\nprint(os.environ["HOME"])\n'
GETENV = 'import os\n\nprint(os.getenv("HOME"))\n'
UUID4 = "from uuid import uuid4\n\nprint(uuid4())\n"
RANDOM = "import random\n\nprint(random.random())\n"
TIME = "import time\n\nprint(time.time())\n"


@pytest.mark.parametrize("code", [NOW, ENVIRONMENT, GETENV, UUID4, RANDOM, TIME])
@pytest.mark.parametrize(
    "file", [f"{WORKFLOW}/store.py", f"{WORKFLOW}/domain/sla.py", "libs/chassis/src/chassis/relay.py"]
)
def test_clock_ids_and_environment_are_banned(file: str, code: str) -> None:
    assert "TID251" in ruff(file, code)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("libs/chassis/src/chassis/clock.py", NOW),
        ("libs/chassis/src/chassis/ids.py", UUID4),
        ("libs/chassis/src/chassis/settings.py", ENVIRONMENT),
        ("libs/embedded/src/embedded/kafka.py", ENVIRONMENT),
        ("libs/cli/src/cli/demo.py", NOW),
        (f"{WORKFLOW[:17]}/tests/unit/test_x.py", NOW),
    ],
)
def test_their_few_readers_may(file: str, code: str) -> None:
    assert "TID251" not in ruff(file, code)


BROAD = "def f() -> None:\n    try:\n        print()\n    except Exception:\n        return\n"


def test_only_chassis_may_catch_everything() -> None:
    assert "BLE001" in ruff(f"{WORKFLOW}/store.py", BROAD)
    assert "BLE001" in ruff("libs/embedded/src/embedded/kafka.py", BROAD)
    assert "BLE001" not in ruff("libs/chassis/src/chassis/decider.py", BROAD)
