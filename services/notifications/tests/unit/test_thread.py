"""What a thread decides: who is told, once; and how a mail comes to its end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Actor, TimerDue, changed
from notifications.domain import delivery, facts, messages, planning, refusals
from notifications.domain.records import Contact, Person
from notifications.domain.state import Thread
from notifications.domain.thread import STOPPED_KEPT, agenda, decide, evolve
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ROOT = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9f10")
CONTACT, OWNER, TEAM, ANN, BOB = (uuid5(ROOT, name) for name in ("contact", "owner", "team", "ann", "bob"))
OPERATOR = Actor("person", OWNER, frozenset({"notifications:write"}))


def known_people(*people: Contact | Person) -> Facts:
    """These people, and nobody else, are known."""
    return Facts(
        {
            ("contact", str(who.contact_id)) if isinstance(who, Contact) else ("person", str(who.person_id)): who
            for who in people
        }
    )


def contact(**fields: Any) -> Contact:
    return changed(Contact(CONTACT, "Jane", "jane@example.com"), **fields)


def person(who: UUID, **fields: Any) -> Person:
    return changed(Person(who, "P", f"{who.hex}@example.com"), **fields)


EVERYBODY = known_people(contact(), person(OWNER), person(ANN), person(BOB))


def cause(n: int, stream: str = "workflow.requests") -> messages.Cause:
    return messages.Cause(uuid5(ROOT, f"{stream}{n}"), stream, n)


def opening(live: bool = True, owner: UUID | None = OWNER, team: UUID | None = None) -> messages.Open:
    return messages.Open(cause(1), "R-000001", CONTACT, "The printer smokes", owner, team, live)


def told(
    thread: Thread | None, *asked: Any, now: datetime = NOON, known: Facts = EVERYBODY
) -> tuple[Thread, list[Any]]:
    """The thread after these messages, and every fact they brought."""
    all_facts: list[Any] = []
    for message in asked:
        for fact in decide(thread, message, now, known):
            thread = evolve(thread, fact)
            all_facts.append(fact)
    assert thread is not None
    return thread, all_facts


def planned(seen: Sequence[Any]) -> list[tuple[str, UUID]]:
    return [(fact.template, fact.recipient_id) for fact in seen if isinstance(fact, facts.MessagePlanned)]


def one_mail() -> tuple[Thread, UUID]:
    thread, _ = told(None, opening())
    return thread, thread.mails[0].message_id


def started(attempts: int = 1) -> tuple[Thread, UUID, datetime]:
    """A thread whose mail is in its n-th attempt, the ones before having failed."""
    thread, mail = one_mail()
    now = NOON
    for attempt in range(1, attempts + 1):
        thread, _ = told(thread, messages.Start(mail), now=now)
        if attempt < attempts:
            thread, _ = told(thread, messages.Failed(mail, attempt, "451 later"), now=now)
            now = thread.mails[0].at
    return thread, mail, now


def test_the_contact_is_told_that_the_request_was_received() -> None:
    _, seen = told(None, opening())
    assert planned(seen) == [("received", CONTACT)]


def test_S79_the_contact_is_told_that_we_wait_for_them() -> None:
    _, seen = told(None, opening(), messages.TellWaiting(cause(2), "clarification"))
    assert planned(seen)[1:] == [("waiting", CONTACT)]


def test_S116_the_contact_is_told_the_outcome_of_a_close() -> None:
    _, seen = told(None, opening(), messages.TellClosed(cause(2), "resolved"))
    assert planned(seen)[1:] == [("closed", CONTACT)]


def test_S66_a_message_of_the_staff_reaches_the_contact_with_its_text() -> None:
    thread, seen = told(None, opening(), messages.TellPosted(cause(2), "Have you tried turning it off?"))
    assert planned(seen)[1:] == [("message", CONTACT)]
    assert thread.mails[1].content == {"text": "Have you tried turning it off?"}


def test_every_approver_is_asked_once_even_when_named_twice() -> None:
    ask = messages.TellApprovers(cause(1, "approvals.approvals"), (ANN, BOB, ANN), NOON)
    _, seen = told(None, opening(), ask)
    assert planned(seen)[1:] == [("approval", ANN), ("approval", BOB)]


@pytest.mark.parametrize(
    ("owner", "team", "recipients"),
    [(OWNER, TEAM, [OWNER]), (None, TEAM, [TEAM]), (None, None, [])],
    ids=["owner before team", "team", "nobody"],
)
def test_a_breach_is_told_to_who_is_responsible(owner: UUID | None, team: UUID | None, recipients: list[UUID]) -> None:
    _, seen = told(None, opening(owner=owner, team=team), messages.TellBreached(cause(2), NOON, 5))
    assert [who for template, who in planned(seen) if template == "breached"] == recipients


def test_a_breach_is_told_to_the_owner_of_now() -> None:
    _, seen = told(None, opening(), messages.Assign(ANN, None), messages.TellBreached(cause(2), NOON, 5))
    assert planned(seen)[1:] == [("breached", ANN)]


@pytest.mark.parametrize("template", ["received", "closed", "message", "waiting"])
def test_a_contact_opts_out_of_everything_but_being_waited_for(template: str) -> None:
    people = known_people(contact(mail_opt_out=("received", "closed", "message", "waiting")))
    asked: list[Any] = [messages.TellWaiting(cause(2), "x"), messages.TellClosed(cause(3), "x")]
    asked.append(messages.TellPosted(cause(4), ""))
    _, seen = told(None, opening(), *asked, known=people)
    suppressed = {fact.template for fact in seen if isinstance(fact, facts.MessageSuppressed)}
    assert suppressed == {"received", "closed", "message"}
    assert (template in suppressed) != ((template, CONTACT) in planned(seen))


def test_opting_out_of_one_group_leaves_the_others() -> None:
    _, seen = told(
        None,
        opening(),
        messages.TellClosed(cause(2), "resolved"),
        known=known_people(contact(mail_opt_out=("received",))),
    )
    assert planned(seen) == [("closed", CONTACT)]


def test_a_contact_without_address_is_not_mailed_and_it_is_said() -> None:
    _, seen = told(None, opening(), known=known_people(contact(email=None)))
    assert [fact.reason for fact in seen if isinstance(fact, facts.MessageSuppressed)] == ["no-address"]


def test_somebody_who_left_is_not_mailed() -> None:
    people = known_people(contact(), person(OWNER, active=False))
    _, seen = told(None, opening(), messages.TellBreached(cause(2), NOON, 1), known=people)
    assert [fact.reason for fact in seen if isinstance(fact, facts.MessageSuppressed)] == ["no-address"]


def test_an_event_that_was_passed_over_is_told_after_all_and_only_when_it_is_redelivered() -> None:
    thread, _ = told(None, opening(), messages.TellClosed(cause(3), "resolved"))
    late = messages.TellWaiting(cause(2), "clarification")
    assert told(thread, late)[1] == []
    thread, seen = told(thread, changed(late, cause=changed(late.cause, redelivered=True)))
    assert planned(seen) == [("waiting", CONTACT)]
    assert thread.told == {"workflow.requests": 3}
    assert told(thread, messages.TellClosed(cause(3), "resolved"))[1] == []


def test_history_tells_nobody_until_it_goes_live() -> None:
    thread, seen = told(None, opening(live=False), messages.TellClosed(cause(2), "resolved"))
    assert [type(fact) for fact in seen] == [facts.ThreadOpened]
    _, seen = told(thread, messages.GoLive(), messages.TellClosed(cause(4), "resolved"))
    assert planned(seen) == [("closed", CONTACT)]


def test_what_comes_before_the_opening_waits_for_it() -> None:
    with pytest.raises(refusals.RequestUnknown):
        decide(None, messages.TellClosed(cause(2), "resolved"), NOON, EVERYBODY)


TELLING = st.sampled_from(["waiting", "breached", "posted", "closed", "approvers"])


def _tell(kind: str, n: int) -> Any:
    return {
        "waiting": messages.TellWaiting(cause(n), "clarification"),
        "breached": messages.TellBreached(cause(n), NOON, n),
        "posted": messages.TellPosted(cause(n), f"text {n}"),
        "closed": messages.TellClosed(cause(n), "resolved"),
        "approvers": messages.TellApprovers(cause(n, "approvals.approvals"), (ANN, BOB), None),
    }[kind]


@given(st.data(), st.lists(TELLING, max_size=8))
def test_one_message_per_cause_and_recipient_whatever_is_delivered_again(data: st.DataObject, kinds: list[str]) -> None:
    events = [opening(), *(_tell(kind, n) for n, kind in enumerate(kinds, start=2))]
    delivered: list[Any] = []
    for n, event in enumerate(events):
        delivered.append(event)
        delivered += data.draw(st.lists(st.sampled_from(events[: n + 1]), max_size=3))
    _, seen = told(None, *delivered)
    _, once = told(None, *events)
    assert [fact for fact in seen if isinstance(fact, facts.MessagePlanned)] == [
        fact for fact in once if isinstance(fact, facts.MessagePlanned)
    ]
    pairs = [(fact.cause_event_id, fact.recipient_id, fact.channel) for fact in once if hasattr(fact, "channel")]
    assert len(pairs) == len(set(pairs)) == 1 + sum(2 if kind == "approvers" else 1 for kind in kinds)


@given(st.lists(st.sampled_from(["again", "done"]), max_size=6))
def test_a_redelivered_event_stays_told_after_its_mail_is_done(order: list[str]) -> None:
    thread, mail = one_mail()
    for step in order:
        if step == "again":
            thread, seen = told(thread, opening())
            assert seen == []
        else:
            thread, _ = told(thread, messages.Start(mail), messages.Accepted(mail, 1))


def test_message_ids_differ_by_cause_recipient_and_channel() -> None:
    ids = {planning.message_id(a, b, c) for a in (ANN, BOB) for b in (ANN, BOB) for c in ("email", "webhook")}
    assert len(ids) == 8


def test_an_attempt_is_started_by_one_sender_only() -> None:
    thread, mail = one_mail()
    thread, first = told(thread, messages.Start(mail))
    _, second = told(thread, messages.Start(mail))
    assert first == [facts.AttemptStarted(mail, 1, NOON + delivery.OUTCOME_WITHIN)]
    assert second == []


def test_an_accepted_mail_leaves_the_state() -> None:
    thread, mail, now = started()
    thread, seen = told(thread, messages.Accepted(mail, 1), now=now)
    assert seen == [facts.MessageAccepted(mail, 1, now)]
    assert thread.mails == ()
    assert agenda(thread) == {}


@pytest.mark.parametrize("attempt", range(1, 6))
def test_a_temporary_failure_waits_longer_each_time(attempt: int) -> None:
    thread, mail, now = started(attempt)
    thread, seen = told(thread, messages.Failed(mail, attempt, "451 later"), now=now)
    at = now + [5 * SECOND, 30 * SECOND, 300 * SECOND, 1800 * SECOND, 7200 * SECOND][attempt - 1]
    assert seen == [facts.AttemptFailed(mail, attempt, at, "451 later")]
    assert told(thread, messages.Start(mail), now=at - SECOND / 1000)[1] == []
    assert told(thread, messages.Start(mail), now=at)[1] != []


def test_the_sixth_temporary_failure_gives_up() -> None:
    thread, mail, now = started(6)
    _, seen = told(thread, messages.Failed(mail, 6, "451 later"), now=now)
    assert seen == [facts.MessageRefused(mail, "given-up", 6, "451 later", now)]


def test_a_refusal_for_good_is_not_tried_again() -> None:
    thread, mail, now = started()
    thread, seen = told(thread, messages.Rejected(mail, 1, "smtp-550", "no such user"), now=now)
    assert seen == [facts.MessageRefused(mail, "smtp-550", 1, "no such user", now)]
    assert told(thread, messages.Start(mail), now=now + timedelta(days=9))[1] == []


def test_an_attempt_whose_sender_died_is_unknown_and_stays_so() -> None:
    thread, mail, _ = started()
    ((kind, ref), due) = next(iter(agenda(thread).items()))
    thread, seen = told(thread, TimerDue(kind, ref, due), now=due)
    assert seen == [facts.MessageUnknown(mail, 1, due)]
    assert agenda(thread) == {}
    assert told(thread, messages.Start(mail), now=due + timedelta(days=9))[1] == []


def test_a_lost_answer_is_unknown_at_once() -> None:
    thread, mail, now = started()
    assert told(thread, messages.Lost(mail, 1), now=now)[1] == [facts.MessageUnknown(mail, 1, now)]


def test_a_late_report_settles_what_was_unknown() -> None:
    thread, mail, now = started()
    thread, _ = told(thread, messages.Lost(mail, 1), now=now)
    assert told(thread, messages.Accepted(mail, 1), now=now)[1] == [facts.MessageAccepted(mail, 1, now)]


def test_a_report_of_an_earlier_attempt_changes_nothing() -> None:
    thread, mail, now = started(2)
    for report in (messages.Accepted(mail, 1), messages.Lost(mail, 1), messages.Rejected(mail, 1, "smtp-550", "")):
        assert told(thread, report, now=now)[1] == []


def test_an_operator_sends_an_unknown_mail_again_with_a_fresh_back_off() -> None:
    thread, mail, now = started(6)
    thread, _ = told(thread, messages.Lost(mail, 6), now=now)
    thread, seen = told(thread, messages.Retry(mail, " lost in a crash ", OPERATOR), now=now)
    assert seen == [facts.RetryAsked(mail, "lost in a crash", OPERATOR, now)]
    thread, _ = told(thread, messages.Start(mail), messages.Failed(mail, 7, "451"), now=now)
    assert thread.mails[0].at == now + delivery.BACK_OFF[0]


def test_sending_again_needs_a_reason() -> None:
    thread, mail, now = started()
    thread, _ = told(thread, messages.Lost(mail, 1), now=now)
    with pytest.raises(refusals.ReasonMissing):
        decide(thread, messages.Retry(mail, " ", OPERATOR), now, EVERYBODY)


def test_what_is_on_its_way_is_not_sent_again() -> None:
    thread, mail, now = started()
    with pytest.raises(refusals.AlreadyOnItsWay):
        decide(thread, messages.Retry(mail, "hurry", OPERATOR), now, EVERYBODY)


def test_a_message_that_is_done_cannot_be_sent_again() -> None:
    thread, mail, now = started()
    thread, _ = told(thread, messages.Accepted(mail, 1), now=now)
    with pytest.raises(refusals.MessageUnknownHere):
        decide(thread, messages.Retry(mail, "again", OPERATOR), now, EVERYBODY)


def test_an_accepted_mail_can_bounce() -> None:
    thread, mail, now = started()
    thread, _ = told(thread, messages.Accepted(mail, 1), now=now)
    assert told(thread, messages.Bounce(mail, "mailbox-gone", "5.1.1"), now=now)[1] == [
        facts.MessageBounced(mail, "mailbox-gone", "5.1.1")
    ]


def test_a_mail_that_never_left_cannot_bounce() -> None:
    thread, mail = one_mail()
    with pytest.raises(refusals.AlreadyOnItsWay):
        decide(thread, messages.Bounce(mail, "mailbox-gone", "5.1.1"), NOON, EVERYBODY)


def test_who_opts_out_before_the_attempt_is_not_mailed() -> None:
    thread, mail = one_mail()
    _, seen = told(thread, messages.Start(mail), known=known_people(contact(mail_opt_out=("received",))))
    assert [type(fact) for fact in seen] == [facts.MessageSuppressed]


def test_an_address_that_is_on_its_way_is_waited_for_sixty_seconds() -> None:
    thread, mail = one_mail()
    nobody = known_people()
    thread, early = told(thread, messages.Start(mail), now=NOON + 60 * SECOND - SECOND / 1000, known=nobody)
    assert early == [facts.AttemptPostponed(mail, NOON + 65 * SECOND - SECOND / 1000)]
    thread, late = told(thread, messages.Start(mail), now=NOON + 65 * SECOND, known=nobody)
    assert [fact.reason for fact in late] == ["no-address"]
    assert thread.mails == ()


def test_a_team_without_addresses_ends_the_mail() -> None:
    thread, _ = told(None, opening(owner=None, team=TEAM), messages.TellBreached(cause(2), NOON, 5))
    mail = thread.mails[1].message_id
    _, seen = told(thread, messages.Start(mail), messages.Unaddressed(mail, 1))
    assert [fact.reason for fact in seen if isinstance(fact, facts.MessageSuppressed)] == ["no-address"]


def test_the_state_stays_bounded_whatever_fails() -> None:
    thread, _ = told(None, opening())
    for n in range(2, 3 * STOPPED_KEPT):
        thread, _ = told(thread, messages.TellPosted(cause(n), "hello"))
        mail = thread.mails[-1].message_id
        thread, _ = told(thread, messages.Start(mail), messages.Lost(mail, 1), now=NOON + n * SECOND)
    assert len(thread.mails) == STOPPED_KEPT + 1
