"""Which fact of another service becomes which message."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis.decision import SYSTEM, Actor
from chassis.hearing import Meta
from contracts import approvals, billing, intake
from testkit.deciding import NOON
from workflow import handlers
from workflow.domain import messages

ONE, TWO = UUID(int=1), UUID(int=2)
META = Meta(TWO, ONE, 1, NOON, "", "", SYSTEM, TWO, None, 0)
EUROS = {"amount": "9.99", "currency": "EUR"}
LINE = {
    "line_id": ONE, "revision": 3, "kind": "fee", "sku": "VISIT", "description": "Visit", "quantity": "1",
    "unit_price": EUROS, "tax_rate": "0.19", "net": EUROS, "tax": EUROS, "price_book_version": 1,
    "logged_by": {"kind": "person", "id": ONE},
}  # fmt: skip


def submitted(**fields: Any) -> messages.Open:
    given = {
        "number": "R-1", "contact_id": ONE, "queue": "support", "queue_version": 2, "summary": "Dead", "impact": "high",
        "urgency": "low", "occurred_at": NOON, "received_at": NOON, "channel": "portal",
        "submitted_by": {"kind": "contact", "id": ONE}, "custom": {"serial": "A1"},
    }  # fmt: skip
    message: messages.Open = handlers.submitted(intake.RequestSubmitted.model_validate(given | fields), META)
    return message


def test_a_submission_opens_the_request_with_everything_that_it_says() -> None:
    opened = submitted()
    assert (opened.number, opened.queue, opened.queue_version, opened.custom) == ("R-1", "support", 2, {"serial": "A1"})
    assert (opened.impact, opened.urgency, opened.priority) == ("high", "low", None)
    assert opened.submitted_by == Actor("contact", ONE)
    assert (opened.mode, opened.stage) == ("live", None)


def test_a_submission_may_be_of_history_and_in_a_stage() -> None:
    opened = submitted(mode="history", stage="Work", priority="critical", owner_id=TWO)
    assert (opened.mode, opened.stage, opened.priority, opened.owner_id) == ("history", "Work", "critical", TWO)


def test_an_erased_submission_still_opens(opened: Callable[..., Any]) -> None:
    erased = submitted(summary=None, custom=None)
    assert (erased.summary, erased.custom) == (None, None)
    assert opened(summary=None, custom=None).open.custom == {}


def test_approvals_are_heard_by_their_transition() -> None:
    asked = approvals.ApprovalRequested.model_validate(
        {"approval_id": ONE, "transition_id": TWO, "approvers": [ONE], "policy": {"kind": "any"}, "number": "R-1"}
    )
    assert handlers.asked(asked, META) == messages.ApprovalAsked(ONE, TWO)
    settled = approvals.ApprovalSettled(
        approval_id=ONE, transition_id=TWO, outcome="granted", content_hash="0" * 64, visit_no=2, approved=1, refused=0
    )
    assert handlers.settled(settled, META) == messages.ApprovalSettled(ONE, TWO, "granted", "0" * 64, 2)


def test_every_change_of_charges_is_heard_as_its_revision() -> None:
    logged = billing.ChargeLogged.model_validate(LINE)
    removed = billing.ChargeRemoved(line_id=ONE, revision=4)
    assert handlers.charge_logged(logged, META) == messages.ChargesChanged(3)
    assert handlers.charge_removed(removed, META) == messages.ChargesChanged(4)


@pytest.mark.parametrize("topic", ["intake.requests", "approvals.approvals", "billing.accounts"])
def test_positions_are_kept_of_every_stream_that_is_heard(topic: str) -> None:
    assert topic in handlers.stream.topics


def test_no_message_is_left_that_nothing_decides(opened: Callable[..., Any]) -> None:
    examples = Path(__file__).parents[4] / "libs" / "contracts" / "examples"
    for event, handler in handlers.stream.handlers.values():
        found = sorted((examples / event.wire_type()).glob("*.json"))
        assert found, event
        for path in found:
            message = handler(event.read(path.read_bytes()), META)
            if not isinstance(message, messages.Open):
                opened().ask(message)
