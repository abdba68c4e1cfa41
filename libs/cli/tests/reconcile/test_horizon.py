"""What a consumer has passed, on both sides of the record that it reads next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cli.reconcile.heard import Heard
from cli.reconcile.horizon import Horizon
from cli.reconcile.mending import MAIL_ENDS_WITHIN, PLANNED
from cli.reconcile.walking import patient

T0 = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
FACT = Heard("workflow.requests", "workflow.request-closed", UUID(int=1), 1, UUID(int=2), T0, {}, 3, T0)
MAIL = replace(FACT, topic="notifications.messages", type=PLANNED)
KEY = ("billing", "workflow.requests", 3)


@pytest.mark.parametrize(("until", "passed"), [(T0, False), (T0 + TICK, True)])
def test_what_was_told_before_the_next_record_is_passed(until: datetime, passed: bool) -> None:
    assert Horizon({KEY: until}, {}).passed("billing", FACT) is passed


def test_a_consumer_that_is_behind_nowhere_has_passed_everything() -> None:
    assert Horizon({}, {}).passed("billing", FACT)
    elsewhere = {("billing", "workflow.requests", 4): T0, ("approvals", "workflow.requests", 3): T0}
    assert Horizon(elsewhere, {}).passed("billing", FACT)


def test_what_is_being_sent_again_is_on_its_way() -> None:
    bottom = datetime.min.replace(tzinfo=UTC)
    assert not Horizon({("billing", "billing.resent", 3): bottom}, {}).passed("billing", FACT)


def test_what_is_not_published_yet_is_on_its_way_even_to_its_own_service() -> None:
    assert not Horizon({}, {}).passed("billing", replace(FACT, sent=False))
    assert Horizon({KEY: T0}, {}).passed("workflow", FACT)


def test_a_fact_counts_from_when_it_was_told_not_from_when_it_happened() -> None:
    long_ago = replace(FACT, time=T0 - timedelta(days=30))
    assert not Horizon({KEY: T0}, {}).passed("billing", long_ago)


@pytest.mark.parametrize(("age", "passed"), [(MAIL_ENDS_WITHIN - TICK, False), (MAIL_ENDS_WITHIN, True)])
def test_a_mail_is_on_its_way_until_all_attempts_must_have_ended(age: timedelta, passed: bool) -> None:
    assert patient(Horizon({}, {}), T0 + age)("notifications", MAIL) is passed
