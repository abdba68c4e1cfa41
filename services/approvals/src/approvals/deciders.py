"""The aggregate of this service: the rules with their table, their rows and their answer."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from approvals.domain.approval_file import agenda, complete, decide, evolve
from approvals.domain.facts import ApprovalRequested, ApprovalSettled, VoteCast
from approvals.domain.state import Approval, ApprovalFile, Settled
from approvals.events import CODEC
from approvals.schemas import answer
from approvals.tables import approval_files, approvals, settlements, votes
from chassis.aggregate import Aggregate, Child


def children(request_id: UUID, file: ApprovalFile, fact: Any, now: datetime) -> Iterator[Child]:
    """The rows that a fact adds; `file` is the state after it."""
    match fact:
        case ApprovalRequested():
            approval = file.find(fact.approval_id)
            assert isinstance(approval, Approval)
            yield Child(approvals, _asked(request_id, file, approval, fact, now))
            for person in fact.approvers:
                yield _vote(fact.approval_id, person)
        case VoteCast():
            cast = {"decision": fact.decision, "comment": fact.comment, "late": fact.late, "decided_at": now}
            yield _vote(fact.approval_id, fact.person_id, **cast)
        case ApprovalSettled():
            yield Child(settlements, _settled(fact, now))
            over = file.find(fact.approval_id)
            if isinstance(over, Settled):
                for person in over.approvers:
                    if person not in over.voters:
                        yield _vote(fact.approval_id, person, decision="not-required")


def _asked(
    request_id: UUID, file: ApprovalFile, approval: Approval, fact: ApprovalRequested, now: datetime
) -> dict[str, Any]:
    return {
        "approval_id": fact.approval_id,
        "request_id": request_id,
        "contact_id": file.contact_id,
        "number": fact.number,
        "summary": fact.summary,
        "transition_id": fact.transition_id,
        "from_stage": approval.from_stage,
        "to_stage": approval.to_stage,
        "visit_no": approval.visit_no,
        "policy": fact.policy.kind,
        "needed": approval.needed,
        "asked_at": now,
        "due_at": fact.due_at,
    }


def _vote(approval_id: UUID, person_id: UUID, **decided: Any) -> Child:
    awaited = {"decision": None, "comment": None, "late": False, "decided_at": None}
    return Child(votes, {"approval_id": approval_id, "person_id": person_id, **awaited, **decided})


def _settled(fact: ApprovalSettled, now: datetime) -> dict[str, Any]:
    return {
        "approval_id": fact.approval_id,
        "outcome": fact.outcome,
        "cause": fact.cause,
        "approved": fact.approved,
        "refused": fact.refused,
        "settled_at": now,
    }


APPROVAL_FILES: Aggregate[ApprovalFile] = Aggregate(
    name="approval_files",
    table=approval_files,
    state=ApprovalFile,
    shape=1,
    codec=CODEC,
    decide=decide,
    evolve=evolve,
    answer=answer,
    agenda=agenda,
    children=children,
    persons=lambda file: [file.contact_id] if file.contact_id else [],
    complete=complete,
)
