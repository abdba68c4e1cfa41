"""Reads over HTTP: what waits for whom, and how a request's approvals stand. Staff only."""

from typing import ClassVar
from uuid import UUID

from approvals import store
from approvals.schemas import ApprovalsView, ApprovalView, Pending
from chassis.auth import Caller
from chassis.decision import Refused
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.paging import Listed

router = Routes("approvals")


class NoSuchApproval(Refused):
    """There is no such approval, or it is not the caller's to see."""

    slug: ClassVar[str] = "unknown-approval"
    status: ClassVar[int] = 404


def _staff_only(caller: Caller) -> None:
    if caller.actor.kind == "contact":
        raise NoSuchApproval("There is no such approval.")


@router.get("/pending", scope="approvals:read")
async def pending(caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[Pending]:
    """Open approvals that wait for the caller's vote, the oldest first."""
    person = caller.actor.id if caller.actor.kind == "person" else None
    after = page.after_as(UUID)
    rows = await store.pending_of(db, person, after[0] if after else None, page.fetch) if person else []
    return page.of([Pending.of(row) for row in rows], key=lambda each: each.approval_id)


@router.get("/requests/{request_id}/approvals", scope="approvals:read")
async def of_request(request_id: UUID, caller: CallerDep, db: DatabaseDep) -> ApprovalsView:
    """Approvals of a request with their votes, the latest first; an empty list for a request without."""
    _staff_only(caller)
    rows, votes = await store.of_request(db, request_id), await store.votes_of(db, request_id)
    return ApprovalsView(request_id=request_id, items=[ApprovalView.with_votes(row, votes) for row in rows])


@router.get("/approvals/{approval_id}", scope="approvals:read")
async def one(approval_id: UUID, caller: CallerDep, db: DatabaseDep) -> ApprovalView:
    """One approval with its votes."""
    _staff_only(caller)
    row = await store.one(db, approval_id)
    if row is None:
        raise NoSuchApproval("There is no such approval.")
    return ApprovalView.with_votes(row, await store.votes_of(db, row["request_id"]))
