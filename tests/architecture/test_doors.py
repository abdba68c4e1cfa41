"""What stands at the doors of all services, seen together."""

from importlib import import_module

import pytest

SERVICES = ("intake", "workflow", "approvals", "billing", "notifications")


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_that_decides_is_reached_by_get(service: str) -> None:
    """Scanners of mails and browsers follow links by themselves."""
    declared = list(import_module(f"{service}.commands").commands)
    assert declared
    assert {each.model.__name__ for each in declared if each.method not in ("POST", "PUT", "PATCH", "DELETE")} == set()
