"""Organisations: registered, and registered anew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from chassis.decision import Actor, Invalid, changed
from intake.domain import limits, refusals
from intake.domain.facts import OrganisationRecorded
from intake.domain.messages import RegisterOrganisation
from intake.domain.organisation import decide, evolve
from intake.domain.state import Organisation
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
ACME = UUID(int=6)
REGISTER = RegisterOrganisation(Actor("person", UUID(int=4)), ACME, "Acme", False)
REGISTERED = evolve(None, OrganisationRecorded(ACME, "Acme", False, 1))


def told(state: Organisation | None, message: RegisterOrganisation) -> Sequence[OrganisationRecorded]:
    return decide(state, message, NOON, Facts())


def test_S101_an_organisation_says_whether_its_contacts_share() -> None:
    assert told(None, changed(REGISTER, share_requests=True)) == [OrganisationRecorded(ACME, "Acme", True, 1)]


def test_registering_again_says_what_holds_from_now_on() -> None:
    assert told(REGISTERED, REGISTER) == []
    assert told(REGISTERED, changed(REGISTER, name="Acme plc")) == [OrganisationRecorded(ACME, "Acme plc", False, 2)]


def test_contacts_do_not_register_organisations() -> None:
    with pytest.raises(refusals.StaffOnly):
        told(None, changed(REGISTER, actor=Actor("contact", UUID(int=1))))


def test_a_name_is_not_blank_and_not_too_long() -> None:
    assert told(None, changed(REGISTER, name="x" * limits.NAME))
    for name in (" ", "x" * (limits.NAME + 1)):
        with pytest.raises(Invalid):
            told(None, changed(REGISTER, name=name))
