"""Every query of this service."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select

from approvals.tables import approvals, settlements, votes
from chassis.database import Database, statement

Row = dict[str, Any]

FIRST = UUID(int=0)
MOST_OF_REQUEST = 200
"""Approvals of one request that are shown, the latest first."""


def _approvals() -> Select[Any]:
    outcome = [column for column in settlements.c if column.name != "approval_id"]
    return select(approvals, *outcome).outerjoin(settlements, settlements.c.approval_id == approvals.c.approval_id)


PENDING_OF_PERSON = statement(
    select(approvals)
    .join(votes, votes.c.approval_id == approvals.c.approval_id)
    .where(
        votes.c.person_id == bindparam("person"),
        votes.c.decision.is_(None),
        votes.c.approval_id > bindparam("after"),
    )
    .order_by(votes.c.approval_id)
    .limit(bindparam("limit"))
)
OF_REQUEST = statement(
    _approvals()
    .where(approvals.c.request_id == bindparam("request"))
    .order_by(approvals.c.approval_id.desc())
    .limit(bindparam("limit"))
)
ONE = statement(_approvals().where(approvals.c.approval_id == bindparam("approval")))
VOTES = statement(
    select(votes)
    .join(approvals, approvals.c.approval_id == votes.c.approval_id)
    .where(approvals.c.request_id == bindparam("request"))
    .order_by(votes.c.approval_id, votes.c.decided_at.nulls_last(), votes.c.person_id)
)


async def pending_of(db: Database, person: UUID, after: UUID | None, limit: int) -> list[Row]:
    """Open approvals that wait for this person's vote, the oldest first."""
    rows = await db.fetch(PENDING_OF_PERSON, person=person, after=after or FIRST, limit=limit)
    return [dict(row) for row in rows]


async def of_request(db: Database, request: UUID) -> list[Row]:
    """Approvals of a request, the latest first."""
    return [dict(row) for row in await db.fetch(OF_REQUEST, request=request, limit=MOST_OF_REQUEST)]


async def one(db: Database, approval: UUID) -> Row | None:
    """A single approval."""
    row = await db.fetchrow(ONE, approval=approval)
    return dict(row) if row else None


async def votes_of(db: Database, request: UUID) -> list[Row]:
    """Votes, and votes still awaited, of all approvals of a request."""
    return [dict(row) for row in await db.fetch(VOTES, request=request)]
