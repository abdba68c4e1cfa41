"""Reads over HTTP: charges of a request, invoices, prices. A contact sees its own issued invoices, and nothing else."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from fastapi import Query

from billing import store
from billing.schemas import AccountView, InvoiceView, PriceBookView
from chassis.auth import Caller
from chassis.decision import Refused
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes
from chassis.paging import Listed

router = Routes("billing")


class NotFound(Refused):
    """There is no such thing, or it is not the caller's to see."""

    slug: ClassVar[str] = "not-found"
    status: ClassVar[int] = 404


def _contact(caller: Caller) -> UUID | None:
    """The contact who asks, or None for staff and other systems."""
    return caller.actor.id if caller.actor.kind == "contact" else None


def _staff_only(caller: Caller) -> None:
    if _contact(caller):
        raise NotFound("There is no such request.")


@router.get("/requests/{request_id}/charges", scope="billing:read")
async def charges(request_id: UUID, caller: CallerDep, db: DatabaseDep) -> AccountView:
    """The open charge lines of a request and what they come to."""
    _staff_only(caller)
    found = await store.account(db, request_id)
    if found is None:
        raise NotFound("There is no such request.")
    return AccountView.of(request_id, *found)


@router.get("/requests/{request_id}/invoices", scope="billing:read")
async def invoices_of_request(
    request_id: UUID, caller: CallerDep, db: DatabaseDep, page: PageDep
) -> Listed[InvoiceView]:
    """Invoices and drafts of a request, the latest first."""
    _staff_only(caller)
    after = page.after_as(UUID)
    rows = await store.of_request(db, request_id, after[0] if after else None, page.fetch)
    return page.of([InvoiceView.of(row) for row in rows], key=lambda each: each.invoice_id)


@router.get("/invoices", scope="billing:read")
async def invoices(
    caller: CallerDep,
    db: DatabaseDep,
    page: PageDep,
    status: Annotated[Literal["issued", "draft"], Query(description="Drafts wait for review.")] = "issued",
) -> Listed[InvoiceView]:
    """Invoices, the latest first: a contact's own that are issued, or those of everybody for staff."""
    after = page.after_as(UUID)
    before = after[0] if after else None
    contact = _contact(caller)
    if contact is None:
        rows = await store.with_status(db, status, before, page.fetch)
    elif status == "issued":
        rows = await store.issued_to(db, contact, before, page.fetch)
    else:
        rows = []
    return page.of([InvoiceView.of(row) for row in rows], key=lambda each: each.invoice_id)


@router.get("/invoices/{invoice_id}", scope="billing:read")
async def invoice(invoice_id: UUID, caller: CallerDep, db: DatabaseDep) -> InvoiceView:
    """One invoice; a draft for staff alone."""
    row = await store.invoice(db, invoice_id)
    contact = _contact(caller)
    if row is None or (contact is not None and (row["contact_id"], row["status"]) != (contact, "issued")):
        raise NotFound("There is no such invoice.")
    return InvoiceView.of(row)


@router.get("/price-book", scope="billing:read")
async def price_book(caller: CallerDep, db: DatabaseDep) -> PriceBookView:
    """The prices in force."""
    _staff_only(caller)
    book = await store.price_book(db)
    if book is None:
        raise NotFound("No price book has been set yet.")
    return PriceBookView.model_validate(book)
