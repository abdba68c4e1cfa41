"""Every query of this service."""

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from pydantic import TypeAdapter
from sqlalchemy import (
    DateTime,
    Integer,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY

from chassis.database import Database, Statement, statement
from chassis.decision import record
from chassis.tables import documents
from workflow.domain.records import Person
from workflow.domain.state import ServiceRequest
from workflow.tables import messages, notes, people, queues, requests, teams

_REQUEST = TypeAdapter(ServiceRequest)
_PERSON = TypeAdapter(Person)
_LIMIT = bindparam("limit", type_=Integer)
_ROW = (
    *(requests.c[name] for name in ("id", "rank_at", "due_at", "closed_at")),
    cast(requests.c.state, Text).label("state"),
)


@record
class Viewer:
    """Who looks at a list: somebody who sees all, a member of the staff with teams, or a contact.

    `organisation_id` is the contact's, when its contacts see each other's requests.
    """

    sees_all: bool = False
    person_id: UUID | None = None
    teams: tuple[UUID, ...] = ()
    contact_id: UUID | None = None
    organisation_id: UUID | None = None


ONE = statement(
    select(requests.c.edit_version, requests.c.blocked, cast(requests.c.state, Text).label("state")).where(
        requests.c.id == bindparam("id", type_=Uuid), requests.c.number.is_not(None)
    )
)
SHARED_ORGANISATION = """
SELECT (contact.doc ->> 'organisation_id')::uuid FROM documents contact
JOIN documents organisation
  ON organisation.kind = 'organisation' AND organisation.id = contact.doc ->> 'organisation_id'
WHERE contact.kind = 'contact' AND contact.id = $1 AND (organisation.doc ->> 'share_requests')::boolean
"""
NOTES = statement(
    select(notes)
    .where(notes.c.request_id == bindparam("request", type_=Uuid), notes.c.note_no > bindparam("after", type_=Integer))
    .order_by(notes.c.note_no)
    .limit(_LIMIT)
)
MESSAGES = statement(
    select(messages)
    .where(
        messages.c.request_id == bindparam("request", type_=Uuid),
        tuple_(messages.c.posted_at, messages.c.message_id)
        > tuple_(bindparam("at", type_=DateTime(timezone=True)), bindparam("after", type_=Uuid)),
    )
    .order_by(messages.c.posted_at, messages.c.message_id)
    .limit(_LIMIT)
)
DOCUMENT = statement(
    select(cast(documents.c.doc, Text).label("doc")).where(
        documents.c.kind == bindparam("kind", type_=Text), documents.c.id == bindparam("id", type_=Text)
    )
)


def _states(table: Any) -> Statement:
    """A list of whole aggregates by id."""
    return statement(
        select(table.c.id, table.c.edit_version, cast(table.c.state, Text).label("state"))
        .where(table.c.id > bindparam("after", type_=Uuid), table.c.state.is_not(None))
        .order_by(table.c.id)
        .limit(_LIMIT)
    )


def _state(table: Any) -> Statement:
    return statement(
        select(table.c.id, table.c.edit_version, cast(table.c.state, Text).label("state")).where(
            table.c.id == bindparam("id", type_=Uuid), table.c.state.is_not(None)
        )
    )


LISTS = {"people": _states(people), "teams": _states(teams), "queues": _states(queues)}
SINGLES = {"people": _state(people), "teams": _state(teams), "queues": _state(queues)}
FIRST = UUID(int=0)


async def one(db: Database, request_id: UUID) -> tuple[ServiceRequest, int, str | None] | None:
    """(request, edit version, why later input of it waits), or None."""
    row = await db.fetchrow(ONE, id=request_id)
    return None if row is None else (_REQUEST.validate_json(row["state"]), row["edit_version"], row["blocked"])


async def shared_organisation(db: Database, contact_id: UUID) -> UUID | None:
    """The contact's organisation, when its contacts see each other's requests."""
    rows = await db.read(SHARED_ORGANISATION, str(contact_id))
    return rows[0][0] if rows else None


async def work(
    db: Database, viewer: Viewer, filters: dict[str, Any], after: tuple[datetime, UUID] | None, limit: int
) -> list[Record]:
    """Open requests that the viewer may see, the first due first."""
    query = _listed(_ways(viewer), frozenset(filters), False, after is not None)
    return await db.fetch(query, **_values(viewer, filters, after, limit))


async def closed(
    db: Database, viewer: Viewer, filters: dict[str, Any], after: tuple[datetime, UUID] | None, limit: int
) -> list[Record]:
    """Closed requests that the viewer may see, the last closed first."""
    query = _listed(_ways(viewer), frozenset(filters), True, after is not None)
    return await db.fetch(query, **_values(viewer, filters, after, limit))


def _ways(viewer: Viewer) -> frozenset[str]:
    """By what a viewer sees a request: the names of `_SEEN_BY`; nothing where all are seen."""
    if viewer.sees_all:
        return frozenset()
    if viewer.person_id:
        return frozenset({"owner", "team"})
    return frozenset({"contact", "organisation"} if viewer.organisation_id else {"contact"})


def _values(viewer: Viewer, filters: dict[str, Any], after: tuple[datetime, UUID] | None, limit: int) -> dict[str, Any]:
    at, last = after or (None, None)
    return {
        "person": viewer.person_id,
        "teams": list(viewer.teams),
        "contact": viewer.contact_id,
        "organisation": viewer.organisation_id,
        "at": at,
        "last": last,
        "limit": limit,
        **{f"only_{name}": value for name, value in filters.items()},
    }


_TEAMS = func.unnest(bindparam("teams", type_=ARRAY(Uuid))).table_valued(column("id", Uuid)).render_derived()
_SEEN_BY = {
    "owner": requests.c.owner_id == bindparam("person", type_=Uuid),
    "team": requests.c.team_id == _TEAMS.c.id,
    "contact": requests.c.contact_id == bindparam("contact", type_=Uuid),
    "organisation": requests.c.organisation_id == bindparam("organisation", type_=Uuid),
}
"""`rights.may_view` as conditions, each with its index; the two are tested to agree."""


@lru_cache(maxsize=256)
def _listed(ways: frozenset[str], filters: frozenset[str], are_closed: bool, goes_on: bool) -> Statement:
    """The first of each way of seeing, then the first of these: by OR, PostgreSQL would look through all requests."""
    rest = _filtered(filters, are_closed, goes_on)
    if not ways:
        return statement(_first(rest, requests.c, are_closed))
    found = [_of_teams(rest, are_closed) if way == "team" else _seen_by(way, rest, are_closed) for way in sorted(ways)]
    if len(found) == 1:
        return statement(found[0])
    seen = union(*(select(one.subquery()) for one in found)).subquery()
    return statement(_first(select(seen), seen.c, are_closed))


def _filtered(filters: frozenset[str], are_closed: bool, goes_on: bool) -> Select[Any]:
    columns = requests.c
    query = select(*_ROW).where(
        columns.number.is_not(None),
        columns.closed_at.is_not(None) if are_closed else columns.closed_at.is_(None),
        *(columns[name] == bindparam(f"only_{name}", type_=columns[name].type) for name in sorted(filters)),
    )
    if not goes_on:
        return query
    order = tuple_(columns.closed_at if are_closed else columns.rank_at, columns.id)
    last = tuple_(bindparam("at", type_=DateTime(timezone=True)), bindparam("last", type_=Uuid))
    return query.where(order < last if are_closed else order > last)


def _first(query: Select[Any], columns: Any, are_closed: bool) -> Select[Any]:
    by = (columns.closed_at.desc(), columns.id.desc()) if are_closed else (columns.rank_at, columns.id)
    return query.order_by(*by).limit(_LIMIT)


def _seen_by(way: str, rest: Select[Any], are_closed: bool) -> Select[Any]:
    return _first(rest.where(_SEEN_BY[way]), requests.c, are_closed)


def _of_teams(rest: Select[Any], are_closed: bool) -> Select[Any]:
    """The first of each team."""
    of_team = _seen_by("team", rest, are_closed).lateral()
    return select(of_team).select_from(_TEAMS.join(of_team, true()))


async def person(db: Database, person_id: UUID) -> Person | None:
    """A member of staff, active or not."""
    row = await db.fetchrow(SINGLES["people"], id=person_id)
    return None if row is None else _PERSON.validate_json(row["state"])
