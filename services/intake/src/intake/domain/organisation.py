"""Whom contacts belong to."""

from collections.abc import Sequence
from datetime import datetime

from chassis.decision import Known
from intake.domain import access, limits, refusals
from intake.domain.facts import OrganisationRecorded
from intake.domain.messages import RegisterOrganisation
from intake.domain.state import Organisation


def decide(
    state: Organisation | None, message: RegisterOrganisation, now: datetime, known: Known
) -> Sequence[OrganisationRecorded]:
    """The organisation as registered; registering it again says what holds from now on, or nothing when that is so."""
    access.require_staff(message.actor)
    wrong = dict(limits.text("/name", message.name, limits.NAME, required=True))
    if wrong:
        raise refusals.Invalid("some fields cannot be accepted", wrong)
    if state is None:
        return [OrganisationRecorded(message.organisation_id, message.name, message.share_requests, 1)]
    if (state.name, state.share_requests) == (message.name, message.share_requests):
        return []
    return [OrganisationRecorded(state.organisation_id, message.name, message.share_requests, state.version + 1)]


def evolve(state: Organisation | None, fact: OrganisationRecorded) -> Organisation:
    """The organisation after a fact."""
    return Organisation(fact.organisation_id, fact.name, fact.share_requests, fact.version)
