"""Every query of this service."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record
from pydantic import TypeAdapter
from sqlalchemy import Integer, Select, Text, Uuid, any_, bindparam, cast, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import INTERVAL

from chassis.database import Database, Statement, statement
from chassis.tables import documents
from notifications.domain.records import Contact
from notifications.domain.state import CONTACT, PLANNED
from notifications.tables import deliveries, messages, threads

_CONTACT = TypeAdapter(Contact)
PICKED_FOR = timedelta(seconds=15)

_due = (
    select(deliveries.c.message_id)
    .where(
        deliveries.c.status == literal_column(f"'{PLANNED}'"),
        deliveries.c.next_at <= func.statement_timestamp(),
        or_(deliveries.c.picked_until.is_(None), deliveries.c.picked_until < func.statement_timestamp()),
    )
    .order_by(deliveries.c.next_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)
TAKE_DUE = statement(
    update(deliveries)
    .where(deliveries.c.message_id == any_(func.array(_due.scalar_subquery())))
    .values(picked_until=func.statement_timestamp() + cast(bindparam("picked_for"), INTERVAL))
    .returning(deliveries.c.message_id, deliveries.c.request_id)
)
"""Planned messages whose time has come, the longest due first, marked so that other senders leave them alone."""

DUE = statement(
    select(deliveries.c.message_id, deliveries.c.request_id)
    .where(deliveries.c.status == literal_column(f"'{PLANNED}'"), deliveries.c.next_at <= func.statement_timestamp())
    .order_by(deliveries.c.next_at)
    .limit(bindparam("limit", type_=Integer))
)
"""Planned messages whose time has come."""

CONTACT_DOCUMENT = statement(
    select(cast(documents.c.doc, Text).label("doc")).where(
        documents.c.kind == literal_column(f"'{CONTACT}'"), documents.c.id == bindparam("id", type_=Text)
    )
)

_ALL = (
    select(
        *messages.c,
        *(deliveries.c[name] for name in ("status", "attempts", "reason", "detail", "next_at", "changed_at")),
        threads.c.number,
    )
    .join(deliveries, deliveries.c.message_id == messages.c.message_id)
    .join(threads, threads.c.id == messages.c.request_id)
)


def _page(query: Select[Any]) -> Statement:
    """A list by message id, from after a given one."""
    return statement(
        query.where(messages.c.message_id > bindparam("after", type_=Uuid))
        .order_by(messages.c.message_id)
        .limit(bindparam("limit", type_=Integer))
    )


OF_REQUEST = _page(_ALL.where(messages.c.request_id == bindparam("request", type_=Uuid)))
OF_REQUEST_TO_CONTACT = _page(
    _ALL.where(
        messages.c.request_id == bindparam("request", type_=Uuid),
        messages.c.recipient_id == bindparam("contact", type_=Uuid),
        threads.c.contact_id == bindparam("contact", type_=Uuid),
    )
)
EVERYTHING = _page(_ALL)
OF_STATUS = _page(_ALL.where(deliveries.c.status == bindparam("status", type_=Text)))
REQUEST = statement(select(threads.c.contact_id).where(threads.c.id == bindparam("request", type_=Uuid)))


async def take_due(db: Database, limit: int) -> list[tuple[UUID, UUID]]:
    """Up to `limit` messages to try now, as (request, message); nobody else is given them for 15 s."""
    rows = await db.fetch(TAKE_DUE, limit=limit, picked_for=PICKED_FOR)
    return [(UUID(int=row["request_id"].int), UUID(int=row["message_id"].int)) for row in rows]


async def due(db: Database, limit: int) -> list[tuple[UUID, UUID]]:
    """Messages whose time has come, as (request, message); they are left as they are."""
    rows = await db.fetch(DUE, limit=limit)
    return [(UUID(int=row["request_id"].int), UUID(int=row["message_id"].int)) for row in rows]


async def contact(db: Database, contact: UUID) -> Contact | None:
    """A contact as they are known now, or None."""
    row = await db.fetchrow(CONTACT_DOCUMENT, id=str(contact))
    return _CONTACT.validate_json(row["doc"]) if row and row["doc"] else None


async def contact_of(db: Database, request: UUID) -> UUID | None:
    """Whose request it is; None for a request that is not known here."""
    row = await db.fetchrow(REQUEST, request=request)
    return row["contact_id"] if row else None


async def of_request(db: Database, request: UUID, after: UUID, limit: int) -> list[Record]:
    """Everything said about a request, to whomever."""
    return await db.fetch(OF_REQUEST, request=request, after=after, limit=limit)


async def of_request_to_contact(db: Database, request: UUID, contact: UUID, after: UUID, limit: int) -> list[Record]:
    """What was said about a contact's own request to that contact."""
    return await db.fetch(OF_REQUEST_TO_CONTACT, request=request, contact=contact, after=after, limit=limit)


async def all_deliveries(db: Database, status: str | None, after: UUID, limit: int) -> list[Record]:
    """Every message, or those of one status."""
    if status is None:
        return await db.fetch(EVERYTHING, after=after, limit=limit)
    return await db.fetch(OF_STATUS, status=status, after=after, limit=limit)
