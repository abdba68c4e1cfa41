"""What stands at the doors of all services, seen together."""

import re
from importlib import import_module

import pytest
from fastapi import FastAPI

from billing.domain import rights
from chassis import facts, operating
from chassis.commands import HISTORY
from chassis.http import ANY_CALLER, Guard
from contracts.generate import ROOT
from contracts.scopes import SCOPES
from intake.domain import access

SERVICES = ("intake", "workflow", "approvals", "billing", "notifications")


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_that_decides_is_reached_by_get(service: str) -> None:
    """Scanners of mails and browsers follow links by themselves."""
    declared = list(import_module(f"{service}.commands").commands)
    assert declared
    assert {each.model.__name__ for each in declared if each.method not in ("POST", "PUT", "PATCH", "DELETE")} == set()


@pytest.mark.parametrize("service", SERVICES)
def test_a_command_needs_the_scope_that_its_contract_names(service: str) -> None:
    declared = list(import_module(f"{service}.commands").commands)
    assert [(each.model.type, each.scope) for each in declared] == [
        (each.model.type, each.model.scope) for each in declared
    ]


def test_every_scope_that_is_asked_for_is_listed_and_no_other() -> None:
    """`throughline clients add` takes the listed ones alone, and operators read them in docs/operations.md."""
    asked = {HISTORY, operating.SCOPE, facts.SCOPE, access.BACKDATE, access.PLACE, rights.OVERRIDE}
    for service in SERVICES:
        asked |= {each.scope for each in import_module(f"{service}.commands").commands}
        app = FastAPI()
        import_module(f"{service}.routes").router.install(app)
        guards = [each.dependency for route in app.routes for each in getattr(route, "dependencies", ())]
        asked |= {guard.scope for guard in guards if isinstance(guard, Guard)} - {ANY_CALLER}
    assert asked == set(SCOPES)
    told = (ROOT / "docs/operations.md").read_text().split("Scopes in use:")[1].split(".")[0]
    assert re.findall("`([a-z]+(?::[a-z]+)?)`", told) == list(SCOPES)
