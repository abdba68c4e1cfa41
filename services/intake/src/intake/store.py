"""Every query of this service."""

from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ColumnElement, Select, Uuid, bindparam, func, or_, select

from chassis.database import Database, Statement, statement
from intake.tables import contacts, organisations, submission_contents, submissions

FIRST = UUID(int=0)
LAST = UUID(int=2**128 - 1)


def _newest(*where: ColumnElement[bool]) -> Statement:
    return statement(
        select(submissions.c.id, submissions.c.state)
        .where(*where, submissions.c.id < bindparam("before"), submissions.c.number.is_not(None))
        .order_by(submissions.c.id.desc())
        .limit(bindparam("limit"))
    )


def _sharing() -> Select[Any]:
    """Organisations whose requests a contact may see: its own, if it shares."""
    return (
        select(organisations.c.id)
        .join(contacts, contacts.c.organisation_id == organisations.c.id)
        .where(contacts.c.id == bindparam("contact", type_=Uuid), organisations.c.share_requests)
    )


_ONE = (
    select(
        submissions.c.id,
        submissions.c.state,
        submissions.c.created_at,
        submissions.c.edit_version,
        submission_contents.c.description,
        submission_contents.c.custom,
    )
    .outerjoin(submission_contents, submission_contents.c.id == submissions.c.id)
    .where(submissions.c.id == bindparam("request"), submissions.c.number.is_not(None))
)
ONE = statement(_ONE)
ONE_SEEN_BY = statement(
    _ONE.where(
        or_(
            submissions.c.contact_id == bindparam("contact", type_=Uuid),
            submissions.c.organisation_id.in_(_sharing()),
        )
    )
)
NEWEST = _newest()
OF_CONTACT = _newest(submissions.c.contact_id == bindparam("contact"))
OF_ORGANISATION = _newest(submissions.c.organisation_id == bindparam("organisation"))
SUBMITTED_BY = _newest(submissions.c.submitted_by == bindparam("person"))
OF_NUMBER = _newest(submissions.c.number == bindparam("number"))
OF_NUMBER_AND_CONTACT = _newest(
    submissions.c.number == bindparam("number"), submissions.c.contact_id == bindparam("contact")
)
SHARES_WITH = statement(_sharing().where(organisations.c.id == bindparam("organisation")))

CONTACT = statement(
    select(contacts.c.id, contacts.c.organisation_id, contacts.c.state, contacts.c.edit_version).where(
        contacts.c.id == bindparam("contact"), contacts.c.erased.is_not(None)
    )
)
_CONTACTS = (
    select(contacts.c.id, contacts.c.state, contacts.c.edit_version)
    .where(~contacts.c.erased, contacts.c.id > bindparam("after"))
    .order_by(contacts.c.id)
    .limit(bindparam("limit"))
)
CONTACTS = statement(_CONTACTS)
CONTACTS_BY_EMAIL = statement(_CONTACTS.where(func.lower(contacts.c.email) == bindparam("email")))
CONTACTS_OF = statement(_CONTACTS.where(contacts.c.organisation_id == bindparam("organisation")))

ORGANISATION = statement(
    select(organisations.c.id, organisations.c.state, organisations.c.edit_version).where(
        organisations.c.id == bindparam("organisation"), organisations.c.name.is_not(None)
    )
)
ORGANISATIONS = statement(
    select(organisations.c.id, organisations.c.state, organisations.c.edit_version)
    .where(organisations.c.id > bindparam("after"), organisations.c.name.is_not(None))
    .order_by(organisations.c.id)
    .limit(bindparam("limit"))
)


async def one(db: Database, request: UUID, contact: UUID | None) -> Record | None:
    """A request with its texts; for a contact only one that it may see."""
    if contact is None:
        return await db.fetchrow(ONE, request=request)
    return await db.fetchrow(ONE_SEEN_BY, request=request, contact=contact)


async def newest(db: Database, before: UUID | None, limit: int) -> list[Record]:
    """Requests, the newest first."""
    return await db.fetch(NEWEST, before=before or LAST, limit=limit)


async def of_contact(db: Database, contact: UUID, before: UUID | None, limit: int) -> list[Record]:
    """Requests of a contact, the newest first."""
    return await db.fetch(OF_CONTACT, contact=contact, before=before or LAST, limit=limit)


async def of_organisation(db: Database, organisation: UUID, before: UUID | None, limit: int) -> list[Record]:
    """Requests of an organisation's contacts, the newest first."""
    return await db.fetch(OF_ORGANISATION, organisation=organisation, before=before or LAST, limit=limit)


async def submitted_by(db: Database, person: UUID, before: UUID | None, limit: int) -> list[Record]:
    """Requests that somebody submitted, the newest first."""
    return await db.fetch(SUBMITTED_BY, person=person, before=before or LAST, limit=limit)


async def of_number(db: Database, number: str, contact: UUID | None) -> list[Record]:
    """The request with this number, if there is one; for a contact only its own."""
    if contact is None:
        return await db.fetch(OF_NUMBER, number=number, before=LAST, limit=1)
    return await db.fetch(OF_NUMBER_AND_CONTACT, number=number, contact=contact, before=LAST, limit=1)


async def shares_with(db: Database, organisation: UUID, contact: UUID) -> bool:
    """Whether a contact belongs to an organisation whose contacts see each other's requests."""
    return await db.fetchrow(SHARES_WITH, organisation=organisation, contact=contact) is not None


async def contact(db: Database, contact_id: UUID) -> Record | None:
    """A contact with its edit version."""
    return await db.fetchrow(CONTACT, contact=contact_id)


async def contacts_after(
    db: Database, after: UUID | None, limit: int, *, email: str | None, organisation: UUID | None
) -> list[Record]:
    """Contacts that were not erased, in the order of their ids."""
    paging = {"after": after or FIRST, "limit": limit}
    if email is not None:
        return await db.fetch(CONTACTS_BY_EMAIL, email=email.lower(), **paging)
    if organisation is not None:
        return await db.fetch(CONTACTS_OF, organisation=organisation, **paging)
    return await db.fetch(CONTACTS, **paging)


async def organisation(db: Database, organisation_id: UUID) -> Record | None:
    """An organisation with its edit version."""
    return await db.fetchrow(ORGANISATION, organisation=organisation_id)


async def organisations_after(db: Database, after: UUID | None, limit: int) -> list[Record]:
    """Organisations, in the order of their ids."""
    return await db.fetch(ORGANISATIONS, after=after or FIRST, limit=limit)
