"""What a request is made of: its history, messages and notes."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from chassis.history import lived
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes, RuntimeDep
from chassis.paging import Listed
from workflow import store
from workflow.deciders import REQUESTS
from workflow.domain import rights
from workflow.routes.looking import Papers, seen, seen_by_staff
from workflow.schemas.details import HistoryEntry, MessageView, NoteView

SCOPE = "requests:read"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
SHOWN_TO_CONTACTS = frozenset(
    f"workflow.{name}"
    for name in (
        "request-opened",
        "stage-changed",
        "wait-began",
        "wait-ended",
        "message-posted",
        "request-edited",
        "request-closed",
        "request-reopened",
    )
)

GIVES_REASONS = frozenset({"workflow.stage-changed", "workflow.request-reopened"})
"""Facts whose `reason` is free text of whoever did it; that of a wait is a name in the queue."""


async def history(
    request_id: UUID, caller: CallerDep, db: DatabaseDep, runtime: RuntimeDep, page: PageDep
) -> Listed[HistoryEntry]:
    """What happened to it, by whom, oldest first (S57, S67, S89); contacts see what concerns them."""
    found = await seen(caller, request_id, db, Papers(runtime.documents))
    after = page.after_as(int)
    rows = await lived(db, REQUESTS, request_id, after=after[0] if after else 0, limit=page.fetch)
    listed = page.of([_entry(row) for row in rows], key=lambda each: each.seq)
    if not found.for_contact:
        return listed
    shown = [_for_contact(each) for each in listed.items if each.type in SHOWN_TO_CONTACTS]
    return listed.model_copy(update={"items": shown})


async def messages(
    request_id: UUID, caller: CallerDep, db: DatabaseDep, runtime: RuntimeDep, page: PageDep
) -> Listed[MessageView]:
    """The thread between customer and staff, oldest first (S9)."""
    await seen(caller, request_id, db, Papers(runtime.documents))
    at, last = page.after_as(datetime, UUID) or (BEGINNING, store.FIRST)
    rows = await db.fetch(store.MESSAGES, request=request_id, at=at, after=last, limit=page.fetch)
    return page.of([MessageView.of(row) for row in rows], key=lambda each: (each.posted_at, each.message_id))


async def notes(
    request_id: UUID, caller: CallerDep, db: DatabaseDep, runtime: RuntimeDep, page: PageDep
) -> Listed[NoteView]:
    """Internal notes, oldest first; never for contacts (S45)."""
    await seen_by_staff(caller, request_id, db, Papers(runtime.documents))
    after = page.after_as(int)
    rows = await db.fetch(store.NOTES, request=request_id, after=after[0] if after else 0, limit=page.fetch)
    return page.of([NoteView.of(row) for row in rows], key=lambda each: each.note_no)


def _for_contact(entry: HistoryEntry) -> HistoryEntry:
    """The entry without what the staff wrote to each other; a contact's own words stay."""
    if entry.type not in GIVES_REASONS or (entry.actor or {}).get("kind") == rights.CONTACT:
        return entry
    return entry.model_copy(update={"data": {name: entry.data[name] for name in entry.data if name != "reason"}})


def _entry(row: Any) -> HistoryEntry:
    data = orjson.loads(row["data"] or b"{}") | orjson.loads(row["personal"] or b"{}")
    return HistoryEntry(
        seq=row["seq"],
        event_id=row["event_id"],
        type=row["type"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        actor=orjson.loads(row["actor"]) if row["actor"] else None,
        data=data,
    )


def serve(router: Routes) -> None:
    """Add these routes."""
    router.get("/requests/{request_id}/history", scope=SCOPE)(history)
    router.get("/requests/{request_id}/messages", scope=SCOPE)(messages)
    router.get("/requests/{request_id}/notes", scope=SCOPE)(notes)
