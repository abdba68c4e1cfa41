"""The books of a reconciliation: what balances, what is an orphan, what is only on its way."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cli.reconcile.heard import Heard
from cli.reconcile.ledger import Ledger

T0 = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5)
CONTACT, APPROVER = str(uuid4()), str(uuid4())


class Streams:
    """Facts of one request, numbered as its services would."""

    def __init__(self) -> None:
        self.subject = uuid4()
        self.facts: list[Heard] = []
        self._last: dict[str, int] = {}

    def add(self, topic: str, what: str, **data: Any) -> Heard:
        self._last[topic] = self._last.get(topic, 0) + 1
        producer = topic.split(".")[0]
        fact = Heard(topic, f"{producer}.{what}", self.subject, self._last[topic], uuid4(), T0, data)
        self.facts.append(fact)
        return fact

    def told(self, cause: Heard, template: str, recipient: str = CONTACT) -> None:
        message = str(uuid4())
        body = {"message_id": message, "cause_event_id": str(cause.id), "recipient_id": recipient, "template": template}
        self.add("notifications.messages", "message-planned", **body)
        self.add("notifications.messages", "message-accepted", message_id=message)


def a_resolved_request(number: str = "R-000001", invoice: str = "INV-2026-000001") -> Streams:
    s = Streams()
    s.add("intake.requests", "request-submitted", number=number, mode="live")
    opened = s.add("workflow.requests", "request-opened", number=number, mode="live", queue="it", stage="New")
    s.told(opened, "received")
    s.add("workflow.requests", "transition-requested", transition_id="t1")
    asked = s.add("approvals.approvals", "approval-requested", transition_id="t1", approvers=[APPROVER])
    s.told(asked, "approval", APPROVER)
    s.add("approvals.approvals", "approval-settled", transition_id="t1", outcome="granted")
    closed = s.add("workflow.requests", "request-closed", close_no=1, outcome="resolved")
    s.told(closed, "closed")
    money = {"amount": "5.70", "currency": "EUR"}
    s.add("billing.accounts", "invoice-issued", close_no=1, number=invoice, total=money)
    return s


def orphans(*streams: Streams, now: datetime = LATER, passed: bool = True, drop: Heard | None = None) -> list[str]:
    ledger = Ledger()
    for stream in streams:
        for fact in stream.facts:
            if fact is not drop:
                ledger.hear(fact)
    return [orphan.slug for orphan in ledger.orphans(now, lambda service, fact: passed)]


def test_a_whole_request_balances() -> None:
    assert orphans(a_resolved_request()) == []


def test_the_order_of_topics_does_not_matter() -> None:
    stream = a_resolved_request()
    stream.facts.sort(key=lambda fact: fact.topic, reverse=True)
    assert orphans(stream) == []


@pytest.mark.parametrize(
    ("topic", "what", "slug"),
    [
        ("workflow.requests", "workflow.request-opened", "not-opened"),
        ("billing.accounts", "billing.invoice-issued", "not-billed"),
        ("approvals.approvals", "approvals.approval-requested", "not-asked"),
        ("notifications.messages", "notifications.message-planned", "not-told"),
        ("notifications.messages", "notifications.message-accepted", "not-sent"),
    ],
)
def test_N2_a_missing_effect_is_an_orphan(topic: str, what: str, slug: str) -> None:
    stream = a_resolved_request()
    missing = next(fact for fact in stream.facts if fact.type == what)
    later = [fact for fact in stream.facts if fact.topic == topic and fact.sequence > missing.sequence]
    stream.facts = [fact for fact in stream.facts if fact is not missing and fact not in later]
    assert slug in orphans(stream)


@pytest.mark.parametrize(
    ("age", "found"), [(timedelta(seconds=60), True), (timedelta(seconds=59, milliseconds=999), False)]
)
def test_an_orphan_is_at_least_sixty_seconds_old(age: timedelta, found: bool) -> None:
    stream = a_resolved_request()
    invoice = next(fact for fact in stream.facts if fact.type == "billing.invoice-issued")
    assert (orphans(stream, now=T0 + age, drop=invoice) == ["not-billed"]) is found


def test_what_its_reader_has_not_reached_is_on_its_way() -> None:
    stream = a_resolved_request()
    invoice = next(fact for fact in stream.facts if fact.type == "billing.invoice-issued")
    assert orphans(stream, passed=False, drop=invoice) == []


def test_N2_a_second_invoice_for_one_close_is_found() -> None:
    stream = a_resolved_request()
    money = {"amount": "5.70", "currency": "EUR"}
    stream.add("billing.accounts", "invoice-issued", close_no=1, number="INV-2026-000002", total=money)
    assert orphans(stream) == ["billed-twice"]


def test_a_reviewed_draft_that_is_issued_is_one_invoice() -> None:
    stream = a_resolved_request()
    issued = stream.facts.pop()
    stream.facts = [fact for fact in stream.facts if fact is not issued]
    draft = Heard(issued.topic, "billing.invoice-drafted", issued.subject, 1, uuid4(), T0, {"close_no": 1})
    again = Heard(issued.topic, issued.type, issued.subject, 2, uuid4(), T0, issued.data)
    stream.facts += [draft, again]
    assert orphans(stream) == []


def test_I4_one_event_told_twice_to_one_person_is_found() -> None:
    stream = a_resolved_request()
    opened = next(fact for fact in stream.facts if fact.type == "workflow.request-opened")
    stream.told(opened, "received")
    assert orphans(stream) == ["told-twice"]


def test_I8_a_jump_in_a_stream_is_found_and_a_repeat_is_not() -> None:
    stream = a_resolved_request()
    stream.facts.append(stream.facts[0])
    assert orphans(stream) == []
    stream.add("workflow.requests", "note-added")
    skipped = stream.facts[-1]
    stream.add("workflow.requests", "note-added")
    assert orphans(stream, drop=skipped) == ["sequence-gap"]


def test_P17_a_hole_between_invoice_numbers_is_found() -> None:
    one, three = a_resolved_request(), a_resolved_request("R-000002", "INV-2026-000003")
    assert orphans(one, three) == ["number-missing"]
    assert orphans(one, a_resolved_request("R-000002", "INV-2026-000002")) == []
    assert "number-twice" in orphans(one, a_resolved_request("R-000002", "INV-2026-000001"))


def test_history_tells_nobody() -> None:
    s = Streams()
    s.add("intake.requests", "request-submitted", number="R-000001", mode="history")
    s.add("workflow.requests", "request-opened", number="R-000001", mode="history", queue="it", stage="New")
    s.add("workflow.requests", "request-closed", close_no=1, outcome="resolved")
    s.add("billing.accounts", "nothing-to-bill", close_no=1, reason="history")
    assert orphans(s) == []


def test_nothing_is_said_of_an_unknown_subject() -> None:
    ledger = Ledger()
    ledger.hear(Heard("workflow.requests", "workflow.note-added", UUID(int=1), 1, uuid4(), T0, {}))
    assert ledger.orphans(LATER, lambda *_: True) == []


def test_a_rejected_submission_is_answered_and_nothing_more_is_expected_of_it() -> None:
    s = Streams()
    s.add("intake.requests", "request-submitted", number="R-000001", mode="live")
    rejected = s.add("workflow.requests", "request-rejected", reason="queue-unknown", detail="no such queue")
    assert orphans(s) == []
    assert orphans(s, drop=rejected) == ["not-opened"]
