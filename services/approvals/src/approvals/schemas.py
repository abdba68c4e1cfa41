"""Bodies of answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from approvals.domain.state import Approval, ApprovalFile


class Pending(BaseModel):
    """An approval that waits for the caller's vote."""

    approval_id: UUID
    request_id: UUID
    number: str
    summary: str | None
    from_stage: str
    to_stage: str
    policy: str
    needed: int
    asked_at: datetime
    due_at: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The view of a row."""
        return cls.model_validate(dict(row))


class VoteView(BaseModel):
    """One approver. `decision` is null while it is awaited, "not-required" when the outcome came without it."""

    person_id: UUID
    decision: str | None
    comment: str | None
    late: bool
    decided_at: datetime | None


class ApprovalView(Pending):
    """An approval with its votes. `outcome` is null while it is open."""

    visit_no: int
    outcome: str | None
    cause: str | None
    settled_at: datetime | None
    votes: list[VoteView]

    @classmethod
    def with_votes(cls, row: Mapping[str, Any], votes: Sequence[Mapping[str, Any]]) -> Self:
        """The view of a row, and of those of its request's votes that belong to it."""
        own = [dict(vote) for vote in votes if vote["approval_id"] == row["approval_id"]]
        return cls.model_validate({**row, "votes": own})


class ApprovalsView(BaseModel):
    """Approvals of one request, the latest first."""

    request_id: UUID
    items: list[ApprovalView]


def answer(request_id: UUID, file: ApprovalFile, facts: Sequence[Any]) -> dict[str, Any]:
    """What somebody who decided is told: where every approval that was touched stands now."""
    touched = dict.fromkeys(fact.approval_id for fact in facts if hasattr(fact, "approval_id"))
    return {"request_id": request_id, "approvals": [_standing(file, approval_id) for approval_id in touched]}


def _standing(file: ApprovalFile, approval_id: UUID) -> dict[str, Any]:
    found = file.find(approval_id)
    if isinstance(found, Approval):
        return {
            "approval_id": approval_id,
            "outcome": None,
            "needed": found.needed,
            "approved": found.approved(),
            "refused": found.refused(),
            "waiting": found.waiting(),
        }
    return {"approval_id": approval_id, "outcome": found.outcome if found else None}
