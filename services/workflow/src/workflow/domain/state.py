"""What a request is at this moment: the fold of its facts, bounded."""

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import record
from workflow.domain.facts import By
from workflow.domain.sla import Clock

LIVE, HISTORY = "live", "history"
REJECTED = "rejected"


@record
class Hold:
    """A wait that has not ended."""

    reason: str
    pauses: bool
    waiting_for: str
    since: datetime


@record
class Transition:
    """A move that waits for an approval."""

    transition_id: UUID
    from_stage: str
    to_stage: str
    visit_no: int
    content_hash: str
    asked_by: By
    asked_at: datetime
    closing: bool
    charge_revision: int
    approval_id: UUID | None = None


@record
class Closing:
    """How and when it was closed last."""

    outcome: str
    close_no: int
    from_stage: str
    closed_at: datetime


@record
class ServiceRequest:
    """One request. `changed_at` is the effective time of its last change: nothing may be dated before it."""

    number: str
    contact_id: UUID
    organisation_id: UUID | None
    queue: str
    queue_version: int
    mode: str
    summary: str | None
    description: str | None
    category: str | None
    custom: dict[str, Any]
    external_reference: str | None
    occurred_at: datetime
    received_at: datetime
    changed_at: datetime
    stage: str
    state: str
    visits: dict[str, int]
    priority: str
    urgency: str
    impact: str
    clock: Clock
    owner_id: UUID | None = None
    team_id: UUID | None = None
    holds: tuple[Hold, ...] = ()
    transition: Transition | None = None
    closing: Closing | None = None
    close_no: int = 0
    reopenings: int = 0
    charge_revision: int = 0
    note_no: int = 0
    invoice: str | None = None

    @property
    def definition_key(self) -> str:
        """The id of the definition that it is pinned to."""
        return f"{self.queue}@{self.queue_version}"

    @property
    def is_closed(self) -> bool:
        """Whether it was closed and not reopened since."""
        return self.closing is not None

    @property
    def visit_no(self) -> int:
        """How often the current stage was entered."""
        return self.visits.get(self.stage, 0)
