"""What operators look at and do over HTTP: messages that wait, and letting them be tried again."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from chassis import waiting
from chassis.http import DatabaseDep, PageDep, Routes
from chassis.paging import Listed

SCOPE = "operate"


class Waits(BaseModel):
    """One message that waits, why, and until when. `next_at` null: an operator has to decide."""

    id: int
    aggregate: str
    subject: UUID
    kind: str
    stream: str | None
    sequence: int | None
    reason: str
    detail: str
    attempts: int
    first_at: datetime
    next_at: datetime | None
    message: str | None
    record: str | None


class Retried(BaseModel):
    """How many messages are tried again now."""

    messages: int


def routes(service: str) -> Routes:
    """The operators' routes of one service."""
    router = Routes(service)

    @router.get("/waiting", scope=SCOPE, summary="Messages that wait, oldest first")
    async def listed(
        database: DatabaseDep, page: PageDep, subject: Annotated[UUID | None, Query()] = None
    ) -> Listed[Waits]:
        after = page.after_as(int)
        rows = await waiting.listed(database, subject=subject, after=after[0] if after else 0, limit=page.fetch)
        return page.of([_view(row) for row in rows], key=lambda row: row.id)

    @router.post("/waiting/{subject}/retry", scope=SCOPE, summary="Try now what waits for a request")
    async def retry(subject: UUID, database: DatabaseDep) -> Retried:
        return Retried(messages=await waiting.retry(database, subject))

    return router


def _view(row: Any) -> Waits:
    fields = {name: row[name] for name in Waits.model_fields if name != "record"}
    return Waits(**fields, record=row["record_text"])
