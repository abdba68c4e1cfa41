"""What is heard becomes a status."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from chassis.decision import SYSTEM
from chassis.stream import Meta
from contracts import base, workflow
from contracts.base import Event
from intake.domain.messages import NoteStatus
from intake.handlers import stream

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
CARL = UUID(int=1)
META = Meta(UUID(int=9), UUID(int=8), 1, NOON, "", "workflow.requests", SYSTEM, UUID(int=7), None, 1)

OPENED = workflow.RequestOpened(
    number="R-000001", contact_id=CARL, queue="support", queue_version=3, stage="New", state="new", visit_no=1,
    priority="medium", urgency="medium", impact="medium", received_at=NOON,
)  # fmt: skip
MOVED = workflow.StageChanged(from_stage="New", to_stage="Work", state="in-progress", visit_no=1, direction="progress")
CLOSED = workflow.RequestClosed(
    outcome="resolved", close_no=1, from_stage="Work", closed_by=base.ActorRef(kind="person", id=CARL),
    charge_revision=0, elapsed_seconds=1, breached=False, closed_at=NOON, contact_id=CARL, number="R-000001",
)  # fmt: skip
REOPENED = workflow.RequestReopened(close_no=1, to_stage="Work", visit_no=2)
REJECTED = workflow.RequestRejected(reason="stage-unknown", detail="no stage Later")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (OPENED, NoteStatus("new", "New")),
        (MOVED, NoteStatus("in-progress", "Work")),
        (CLOSED, NoteStatus("closed", outcome="resolved")),
        (REOPENED, NoteStatus("in-progress", "Work")),
        (REJECTED, NoteStatus("rejected", outcome="stage-unknown", detail="no stage Later")),
    ],
)
def test_what_workflow_says_becomes_a_status(event: Event, message: NoteStatus) -> None:
    _, handler = stream.handlers[event.type, event.schema_version]
    assert handler(event, META) == message


def test_intake_hears_workflow_alone() -> None:
    assert stream.topics == ("workflow.requests",)
