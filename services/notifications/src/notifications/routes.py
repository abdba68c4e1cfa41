"""Reads: what was sent to whom, and what became of it."""

from typing import Annotated
from uuid import UUID

from asyncpg import Record
from fastapi import Query

from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.paging import Listed, Page
from chassis.problems import Problem
from notifications import store
from notifications.schemas import Delivery

FIRST = UUID(int=0)
CONTACT = "contact"
STAFF = "notifications:read"

router = Routes("notifications")


@router.get("/messages", scope=STAFF)
async def deliveries(
    caller: CallerDep, db: DatabaseDep, page: PageDep, status: Annotated[str | None, Query(max_length=20)] = None
) -> Listed[Delivery]:
    """Every message, for the staff; `status=unknown` and `status=refused` are what an operator looks after."""
    if caller.actor.kind == CONTACT:
        raise Problem("insufficient-scope", "the list of all messages is for the staff")
    return _listed(page, await store.all_deliveries(db, status, _after(page), page.fetch))


@router.get("/requests/{request_id}/messages", scope=STAFF)
async def of_request(request_id: UUID, caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[Delivery]:
    """What was said about a request. A contact sees what was sent to themselves about their own, and nothing else."""
    contact = await store.contact_of(db, request_id)
    if contact is None:
        raise Problem("not-found")
    if caller.actor.kind != CONTACT:
        return _listed(page, await store.of_request(db, request_id, _after(page), page.fetch))
    if caller.actor.id != contact:
        raise Problem("not-found")
    return _listed(page, await store.of_request_to_contact(db, request_id, contact, _after(page), page.fetch))


def _after(page: Page) -> UUID:
    found = page.after_as(UUID)
    return found[0] if found else FIRST


def _listed(page: Page, rows: list[Record]) -> Listed[Delivery]:
    return page.of([Delivery.model_validate(dict(row)) for row in rows], key=lambda one: one.message_id)
