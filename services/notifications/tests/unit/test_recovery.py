"""After a restore: what a fact's topic does not say, and mails of which nobody knows whether they went out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from chassis.decision import SYSTEM, Recalled, changed
from notifications.domain import facts, messages
from notifications.domain.state import PLANNED, UNKNOWN, Thread
from notifications.domain.thread import complete, decide, evolve
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
REQUEST, CONTACT, MAIL, CAUSE = (UUID(int=n) for n in range(1, 5))
LATER = Recalled(NOON + timedelta(minutes=1), SYSTEM, None, (), Facts())
MAIL_PLANNED = facts.MessagePlanned(MAIL, CAUSE, CONTACT, "contact", "email", "received", planned_at=NOON)


def thread(planned: facts.MessagePlanned = MAIL_PLANNED) -> Thread:
    opened = evolve(None, facts.ThreadOpened("R-000001", CONTACT, "Line is dead", None, None, True))
    return evolve(opened, planned)


def test_a_mail_that_was_due_becomes_unknown_and_is_not_sent() -> None:
    [fact] = decide(thread(), messages.Doubt(MAIL), NOON, Facts())
    assert fact == facts.MessageUnknown(MAIL, 0, NOON)
    after = evolve(thread(), fact)
    assert after.mails[0].status == UNKNOWN
    assert decide(after, messages.Start(MAIL), NOON, Facts()) == ()


def test_a_mail_that_was_not_due_yet_is_sent_as_planned() -> None:
    waits = thread(changed(MAIL_PLANNED, planned_at=NOON + timedelta(microseconds=1)))
    assert decide(waits, messages.Doubt(MAIL), NOON, Facts()) == ()
    assert waits.mails[0].status == PLANNED


def test_a_mail_that_is_settled_stays_so() -> None:
    settled = evolve(thread(), facts.MessageAccepted(MAIL, 1, NOON))
    assert decide(settled, messages.Doubt(MAIL), NOON, Facts()) == ()


def test_times_that_never_left_are_those_of_the_facts() -> None:
    assert complete(None, changed(MAIL_PLANNED, planned_at=facts.ERASED_AT), LATER).planned_at == LATER.at
    assert complete(None, facts.MessageRefused(MAIL, "smtp-550", 2), LATER).refused_at == LATER.at
    assert complete(None, facts.MessageUnknown(MAIL, 2), LATER).since == LATER.at
    assert complete(None, MAIL_PLANNED, LATER) == MAIL_PLANNED


def test_a_refused_mail_counts_the_attempts_that_were_told_of() -> None:
    after = evolve(thread(), facts.MessageRefused(MAIL, "given-up", 6, refused_at=NOON))
    assert after.mails[0].attempts == 6
