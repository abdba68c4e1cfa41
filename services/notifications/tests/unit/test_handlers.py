"""Which event becomes which message, and which is nobody's business here."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from chassis.decision import SYSTEM
from chassis.hearing import Meta
from contracts import approvals, workflow
from notifications import handlers
from notifications.domain import messages

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
REQUEST, EVENT, ANN = (UUID(int=n) for n in (1, 2, 3))
META = Meta(EVENT, REQUEST, 7, NOON, "", "workflow.requests", SYSTEM, REQUEST, None, 0)
CAUSE = messages.Cause(EVENT, "workflow.requests", 7)


def opened(**fields: Any) -> workflow.RequestOpened:
    given = {
        "number": "R-1", "contact_id": ANN, "queue": "outage", "queue_version": 1, "summary": "smoke", "stage": "New",
        "state": "new", "visit_no": 1, "priority": "high", "urgency": "high", "impact": "low", "received_at": NOON,
    }  # fmt: skip
    return workflow.RequestOpened.model_validate(given | fields)


@pytest.mark.parametrize(("mode", "live"), [("live", True), ("history", False)])
def test_a_request_of_history_is_opened_without_a_voice(mode: str, live: bool) -> None:
    assert handlers.opened(opened(mode=mode), META).live is live


@pytest.mark.parametrize(
    ("waiting_for", "heard"), [("customer", messages.TellWaiting(CAUSE, "answer")), ("vendor", None), ("other", None)]
)
def test_S79_only_a_wait_for_the_customer_is_told_to_them(waiting_for: str, heard: Any) -> None:
    event = workflow.WaitBegan(reason="answer", pauses=True, waiting_for=waiting_for)
    assert handlers.waiting(event, META) == heard


@pytest.mark.parametrize(("from_staff", "heard"), [(True, messages.TellPosted(CAUSE, "hello")), (False, None)])
def test_what_the_contact_wrote_is_not_mailed_back(from_staff: bool, heard: Any) -> None:
    by = {"kind": "person", "id": str(ANN)}
    event = workflow.MessagePosted.model_validate(
        {"message_id": ANN, "text": "hello", "by": by, "from_staff": from_staff}
    )
    assert handlers.posted(event, META) == heard


@pytest.mark.parametrize(("fields", "heard"), [(("summary",), messages.Rename("new")), (("category",), None)])
def test_only_an_edited_summary_is_noted(fields: tuple[str, ...], heard: Any) -> None:
    event = workflow.RequestEdited(summary="new" if "summary" in fields else None, fields=fields)
    assert handlers.edited(event, META) == heard


def test_the_approvers_of_the_event_are_asked() -> None:
    asked = {"approval_id": REQUEST, "transition_id": REQUEST, "approvers": [ANN], "policy": {"kind": "any"}}
    event = approvals.ApprovalRequested.model_validate(asked | {"number": "R-1", "due_at": NOON})
    assert handlers.approval_asked(event, META) == messages.TellApprovers(CAUSE, (ANN,), NOON)


def test_no_stream_is_listened_to_in_vain() -> None:
    assert handlers.stream.topics == ("approvals.approvals", "workflow.requests")


def test_a_fact_from_before_this_services_time_tells_nobody() -> None:
    old = Meta(EVENT, REQUEST, 7, NOON, "", "workflow.requests", SYSTEM, REQUEST, None, 0, history=True)
    event = workflow.WaitBegan(reason="customer", pauses=True, waiting_for="customer")
    message = handlers.waiting(event, old)
    assert message is not None
    assert message.cause.sequence == -1
    told = handlers.waiting(event, META)
    assert told is not None
    assert told.cause.sequence == 7


def test_what_an_operator_lets_be_decided_after_all_says_so() -> None:
    late = replace(META, redelivered=True)
    found = handlers.closed(workflow.RequestClosed.model_construct(outcome="resolved"), late)
    assert found.cause == messages.Cause(EVENT, "workflow.requests", 7, redelivered=True)


def test_history_stays_silent_when_it_is_decided_after_all() -> None:
    old = replace(META, redelivered=True, history=True)
    found = handlers.closed(workflow.RequestClosed.model_construct(outcome="resolved"), old)
    assert found.cause == messages.Cause(EVENT, "workflow.requests", -1)
