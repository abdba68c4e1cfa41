"""Queues, staff and teams."""

from typing import Any
from uuid import UUID

import orjson
from asyncpg import Record

from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.paging import Listed
from workflow import store
from workflow.domain import rights
from workflow.domain.queues import subject_of
from workflow.domain.refusals import NoSuchPerson, NoSuchQueue, NoSuchTeam
from workflow.schemas.catalogue import PersonView, QueueView, TeamView

QUEUES, STAFF = "catalogue:read", "people:read"


async def queues(db: DatabaseDep, page: PageDep) -> Listed[QueueView]:
    """All queues, with what is published and what is drafted."""
    rows = await _page(db, "queues", page)
    ids = {row["id"]: QueueView(**_fields(row, QueueView)) for row in rows}
    listed = page.of(list(ids), key=lambda each: each)
    return listed.model_copy(update={"items": [ids[each] for each in listed.items]})


async def queue(queue: str, db: DatabaseDep) -> QueueView:
    """One queue by name."""
    row = await db.fetchrow(store.SINGLES["queues"], id=subject_of(queue))
    if row is None:
        raise NoSuchQueue("there is no such queue")
    return QueueView(**_fields(row, QueueView))


async def version(queue: str, version: int, db: DatabaseDep) -> dict[str, Any]:
    """A published version, which never changes."""
    row = await db.fetchrow(store.DOCUMENT, kind="queue", id=f"{queue}@{version}")
    if row is None or row["doc"] is None:
        raise NoSuchQueue("there is no such version of this queue")
    document: dict[str, Any] = orjson.loads(row["doc"])
    return document


async def people(caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[PersonView]:
    """The staff; not for contacts."""
    _staff_only(caller.actor.kind)
    rows = await _page(db, "people", page)
    return page.of([PersonView(**_fields(row, PersonView)) for row in rows], key=lambda each: each.person_id)


async def person(person_id: UUID, caller: CallerDep, db: DatabaseDep) -> PersonView:
    """One member of staff; not for contacts."""
    _staff_only(caller.actor.kind)
    row = await db.fetchrow(store.SINGLES["people"], id=person_id)
    if row is None:
        raise NoSuchPerson("there is no such person")
    return PersonView(**_fields(row, PersonView))


async def teams(caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[TeamView]:
    """All teams; not for contacts."""
    _staff_only(caller.actor.kind)
    rows = await _page(db, "teams", page)
    return page.of([TeamView(**_fields(row, TeamView)) for row in rows], key=lambda each: each.team_id)


async def team(team_id: UUID, caller: CallerDep, db: DatabaseDep) -> TeamView:
    """One team; not for contacts."""
    _staff_only(caller.actor.kind)
    row = await db.fetchrow(store.SINGLES["teams"], id=team_id)
    if row is None:
        raise NoSuchTeam("there is no such team")
    return TeamView(**_fields(row, TeamView))


async def _page(db: DatabaseDep, table: str, page: PageDep) -> list[Record]:
    after = page.after_as(UUID)
    rows: list[Record] = await db.fetch(store.LISTS[table], after=after[0] if after else store.FIRST, limit=page.fetch)
    return rows


def _fields(row: Record, view: Any) -> dict[str, Any]:
    state = orjson.loads(row["state"]) | {"edit_version": row["edit_version"]}
    return {name: state[name] for name in view.model_fields}


def _staff_only(kind: str) -> None:
    if kind == rights.CONTACT:
        raise NoSuchPerson("there is no such list")


def serve(router: Routes) -> None:
    """Add these routes."""
    router.get("/queues", scope=QUEUES)(queues)
    router.get("/queues/{queue}", scope=QUEUES)(queue)
    router.get("/queues/{queue}/versions/{version}", scope=QUEUES)(version)
    router.get("/people", scope=STAFF)(people)
    router.get("/people/{person_id}", scope=STAFF)(person)
    router.get("/teams", scope=STAFF)(teams)
    router.get("/teams/{team_id}", scope=STAFF)(team)
