"""One request, and the lists of them."""

from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from chassis.clock import utc_now
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes, RuntimeDep
from chassis.paging import Listed
from chassis.projection import Shown
from workflow import store
from workflow.domain.actions import available
from workflow.routes.looking import Papers, seen, viewer_of
from workflow.schemas.requests import RequestRow, RequestView, row_of

SCOPE = "requests:read"


async def one(request_id: UUID, caller: CallerDep, db: DatabaseDep, runtime: RuntimeDep) -> RequestView:
    """One request with its clock and what the caller may do with it now."""
    papers, now = Papers(runtime.documents), utc_now()
    found = await seen(caller, request_id, db, papers)
    request = found.request
    await papers.bring(("queue", request.definition_key))
    definition = papers.get("queue", request.definition_key)
    return RequestView.of(
        request_id,
        request,
        definition,
        now,
        edit_version=found.edit_version,
        actions=available(request, definition, caller.actor, now, papers) if definition else {},
        for_contact=found.for_contact,
        blocked=found.blocked,
    )


async def work(
    caller: CallerDep,
    db: DatabaseDep,
    runtime: RuntimeDep,
    page: PageDep,
    owner_id: UUID | None = None,
    team_id: UUID | None = None,
    queue: str | None = None,
    contact_id: UUID | None = None,
    closed: bool = False,
) -> Listed[Shown[RequestRow]]:
    """The work list: open requests, the first due first (S107); or closed ones, the last closed first."""
    viewer = await viewer_of(caller, db, Papers(runtime.documents))
    named: dict[str, Any] = {"owner_id": owner_id, "team_id": team_id, "queue": queue, "contact_id": contact_id}
    filters = {name: value for name, value in named.items() if value is not None}
    after = page.after_as(datetime, UUID)
    find = store.closed if closed else store.work
    rows = await find(db, viewer, filters, after, page.fetch)
    return page.show(rows, row_of, key=itemgetter("closed_at" if closed else "rank_at", "id"))


def serve(router: Routes) -> None:
    """Add these routes."""
    router.get("/requests", scope=SCOPE)(work)
    router.get("/requests/{request_id}", scope=SCOPE)(one)
