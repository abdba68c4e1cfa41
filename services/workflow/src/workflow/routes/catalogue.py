"""Queues, staff and teams."""

from functools import partial
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

import orjson
from asyncpg import Record
from pydantic import BaseModel

from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.paging import Listed
from chassis.projection import Projection, Shown
from workflow import store
from workflow.domain import rights
from workflow.domain.queues import subject_of
from workflow.domain.refusals import NoSuchPerson, NoSuchQueue, NoSuchTeam
from workflow.schemas.catalogue import PERSON, QUEUE, TEAM, PersonView, QueueView, TeamView

V = TypeVar("V", bound=BaseModel)

_id = itemgetter("id")
QUEUES, STAFF = "catalogue:read", "people:read"


async def queues(db: DatabaseDep, page: PageDep) -> Listed[Shown[QueueView]]:
    """All queues, with what is published and what is drafted."""
    rows = await _page(db, "queues", page)
    return page.show(rows, partial(_shown, QUEUE), key=_id)


async def queue(queue: str, db: DatabaseDep) -> Shown[QueueView]:
    """One queue by name."""
    row = await db.fetchrow(store.SINGLES["queues"], id=subject_of(queue))
    if row is None:
        raise NoSuchQueue("there is no such queue")
    return _shown(QUEUE, row)


async def version(queue: str, version: int, db: DatabaseDep) -> dict[str, Any]:
    """A published version, which never changes."""
    row = await db.fetchrow(store.DOCUMENT, kind="queue", id=f"{queue}@{version}")
    if row is None or row["doc"] is None:
        raise NoSuchQueue("there is no such version of this queue")
    document: dict[str, Any] = orjson.loads(row["doc"])
    return document


async def people(caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[Shown[PersonView]]:
    """The staff; not for contacts."""
    _staff_only(caller.actor.kind)
    rows = await _page(db, "people", page)
    return page.show(rows, partial(_shown, PERSON), key=_id)


async def person(person_id: UUID, caller: CallerDep, db: DatabaseDep) -> Shown[PersonView]:
    """One member of staff; not for contacts."""
    _staff_only(caller.actor.kind)
    row = await db.fetchrow(store.SINGLES["people"], id=person_id)
    if row is None:
        raise NoSuchPerson("there is no such person")
    return _shown(PERSON, row)


async def teams(caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[Shown[TeamView]]:
    """All teams; not for contacts."""
    _staff_only(caller.actor.kind)
    rows = await _page(db, "teams", page)
    return page.show(rows, partial(_shown, TEAM), key=_id)


async def team(team_id: UUID, caller: CallerDep, db: DatabaseDep) -> Shown[TeamView]:
    """One team; not for contacts."""
    _staff_only(caller.actor.kind)
    row = await db.fetchrow(store.SINGLES["teams"], id=team_id)
    if row is None:
        raise NoSuchTeam("there is no such team")
    return _shown(TEAM, row)


async def _page(db: DatabaseDep, table: str, page: PageDep) -> list[Record]:
    after = page.after_as(UUID)
    rows: list[Record] = await db.fetch(store.LISTS[table], after=after[0] if after else store.FIRST, limit=page.fetch)
    return rows


def _shown(projection: Projection[V], row: Record) -> Shown[V]:
    return projection.of(row["state"], edit_version=row["edit_version"])


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
