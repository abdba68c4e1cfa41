"""Reads over HTTP. A contact sees its own requests, and its organisation's where that shares; others are not there."""

from operator import itemgetter
from typing import Annotated
from uuid import UUID

from fastapi import Query

from chassis.auth import Caller
from chassis.database import Database
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.paging import Listed
from chassis.projection import Shown
from intake import schemas, store
from intake.domain.access import is_contact
from intake.domain.refusals import ContactNotKnown, OrganisationNotKnown, RequestNotKnown
from intake.schemas import ContactView, OrganisationView, RequestSummary, RequestView

router = Routes("intake")
_id = itemgetter("id")


def _own(caller: Caller) -> UUID | None:
    """The contact that is calling, or None for staff and other systems."""
    return caller.actor.id if is_contact(caller.actor) else None


async def sees(caller: Caller, subject: UUID, db: Database) -> bool:
    """Whether a caller may read the facts about a request: who sees the request does, and staff with the scope."""
    return "requests:read" in caller.actor.rights and await store.one(db, subject, _own(caller)) is not None


@router.get("/requests/{request_id}", scope="requests:read")
async def one(request_id: UUID, caller: CallerDep, db: DatabaseDep) -> Shown[RequestView]:
    """One request as it came in, and where it stands."""
    row = await store.one(db, request_id, _own(caller))
    if row is None:
        raise RequestNotKnown("there is no such request")
    return schemas.request(row)


@router.get("/requests", scope="requests:read")
async def mine(
    caller: CallerDep,
    db: DatabaseDep,
    page: PageDep,
    contact_id: Annotated[UUID | None, Query(description="Requests of this contact; staff only.")] = None,
    number: Annotated[str | None, Query(max_length=40, description="The request with this number.")] = None,
    every: Annotated[bool, Query(description="All requests, not only those the caller submitted; staff only.")] = False,
) -> Listed[Shown[RequestSummary]]:
    """A contact's own requests; those that a person or client submitted. The newest first."""
    after = page.after_as(UUID)
    before = after[0] if after else None
    own = _own(caller)
    if number is not None:
        rows = await store.of_number(db, number, own)
    elif own is not None or contact_id is not None:
        rows = await store.of_contact(db, own or contact_id or store.FIRST, before, page.fetch)
    elif every or caller.actor.id is None:
        rows = await store.newest(db, before, page.fetch)
    else:
        rows = await store.submitted_by(db, caller.actor.id, before, page.fetch)
    return page.show(rows, schemas.summary, key=_id)


@router.get("/organisations/{organisation_id}/requests", scope="requests:read")
async def of_organisation(
    organisation_id: UUID, caller: CallerDep, db: DatabaseDep, page: PageDep
) -> Listed[Shown[RequestSummary]]:
    """Requests of an organisation, the newest first; for its contacts if it shares."""
    own = _own(caller)
    if own is not None and not await store.shares_with(db, organisation_id, own):
        raise OrganisationNotKnown("there is no such organisation")
    after = page.after_as(UUID)
    rows = await store.of_organisation(db, organisation_id, after[0] if after else None, page.fetch)
    return page.show(rows, schemas.summary, key=_id)


@router.get("/contacts/{contact_id}", scope="contacts:read")
async def contact(contact_id: UUID, caller: CallerDep, db: DatabaseDep) -> Shown[ContactView]:
    """One contact; a contact sees itself alone."""
    found = await store.contact(db, contact_id) if _own(caller) in (None, contact_id) else None
    if found is None:
        raise ContactNotKnown("there is no such contact")
    return schemas.contact(found)


@router.get("/contacts", scope="contacts:read")
async def contacts(
    caller: CallerDep,
    db: DatabaseDep,
    page: PageDep,
    email: Annotated[str | None, Query(max_length=320, description="Contacts with this address.")] = None,
    organisation_id: Annotated[UUID | None, Query(description="Contacts of this organisation.")] = None,
) -> Listed[Shown[ContactView]]:
    """Contacts, in the order of their ids; a contact sees itself alone."""
    own = _own(caller)
    if own is not None:
        found = await store.contact(db, own)
        rows = [found] if found else []
    else:
        after = page.after_as(UUID)
        rows = await store.contacts_after(
            db, after[0] if after else None, page.fetch, email=email, organisation=organisation_id
        )
    return page.show(rows, schemas.contact, key=_id)


@router.get("/organisations/{organisation_id}", scope="contacts:read")
async def organisation(organisation_id: UUID, caller: CallerDep, db: DatabaseDep) -> Shown[OrganisationView]:
    """One organisation; a contact sees its own alone."""
    own = _own(caller)
    if own is not None:
        belongs = await store.contact(db, own)
        if belongs is None or belongs["organisation_id"] != organisation_id:
            raise OrganisationNotKnown("there is no such organisation")
    found = await store.organisation(db, organisation_id)
    if found is None:
        raise OrganisationNotKnown("there is no such organisation")
    return schemas.organisation(found)


@router.get("/organisations", scope="contacts:read")
async def organisations(caller: CallerDep, db: DatabaseDep, page: PageDep) -> Listed[Shown[OrganisationView]]:
    """Organisations, in the order of their ids; staff only."""
    if _own(caller) is not None:
        raise OrganisationNotKnown("there is no such organisation")
    after = page.after_as(UUID)
    rows = await store.organisations_after(db, after[0] if after else None, page.fetch)
    return page.show(rows, schemas.organisation, key=_id)
