"""Compose and the image agree with what the house runs elsewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded import kafka
from testkit import containers

ROOT = Path(__file__).parents[2]
SERVICES = ("intake", "workflow", "approvals", "billing", "notifications")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SAME_EVERYWHERE = (
    "auto.create.topics.enable",
    "broker.heartbeat.interval.ms",
    "broker.session.timeout.ms",
    "message.max.bytes",
    "offsets.retention.minutes",
)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_runs_all_its_roles_once_everything_it_needs_is_healthy(service: str) -> None:
    block = COMPOSE[service]
    assert block["command"] == ["python", "-m", service, "--role", "all"]
    assert {name: need["condition"] for name, need in block["depends_on"].items()} == {
        "kafka": "service_healthy",
        "postgres": "service_healthy",
        "issuer": "service_healthy",
        "setup": "service_completed_successfully",
    }
    assert "/readyz" in " ".join(block["healthcheck"]["test"])
    assert block["read_only"] is True


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_its_own_logins_and_no_others(service: str) -> None:
    logins = {name for name in COMPOSE[service]["environment"] if name.endswith("DATABASE_URL")}
    assert logins == {f"{service.upper()}_DATABASE_URL", f"{service.upper()}_RELAY_DATABASE_URL"}
    assert logins <= set(COMPOSE["setup"]["environment"])


def test_nothing_is_published_beyond_this_machine() -> None:
    assert [
        port for block in COMPOSE.values() for port in block.get("ports", []) if not port.startswith("127.0.0.1:")
    ] == []


def test_the_images_are_those_of_the_tests() -> None:
    assert COMPOSE["postgres"]["image"] == containers.POSTGRES_IMAGE
    assert COMPOSE["kafka"]["image"] == containers.KAFKA_IMAGE


@pytest.mark.parametrize("setting", SAME_EVERYWHERE)
def test_the_broker_has_the_settings_of_the_embedded_one(setting: str) -> None:
    assert COMPOSE["kafka"]["environment"][containers.variable(setting)] == kafka.SETTINGS[setting]


def test_the_image_runs_as_nobody_special_from_the_lock_alone() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001:10001"
    assert "--require-hashes -r requirements.lock" in text
    assert "requirements-dev" not in text
