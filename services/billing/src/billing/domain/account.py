"""The account of a request: charged while open, settled at every close.

Heard messages never refuse here: they state a fact or nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from billing.domain.charges import log_charge, remove_charge
from billing.domain.facts import (
    AccountOpened,
    AccountReopened,
    ChargeLogged,
    ChargeRemoved,
    CreditNoteIssued,
    Fact,
    InvoiceDrafted,
    InvoiceIssued,
    NothingToBill,
)
from billing.domain.invoicing import credit, issue_draft, settle
from billing.domain.messages import Close, IssueCreditNote, IssueDraft, LogCharge, Open, RemoveCharge, Reopen
from billing.domain.refusals import UnknownRequest
from billing.domain.state import INVOICES_KEPT, Account, Draft, Invoice, Line
from chassis.decision import Known, changed


def decide(state: Account | None, message: Any, now: datetime, known: Known) -> Sequence[Fact]:
    """What follows from a message; see the module's promise."""
    match message:
        case Open():
            return [] if state else [AccountOpened(message.contact_id, message.number)]
        case Close():
            return _close(state, message, now, known)
        case Reopen():
            return [AccountReopened(message.close_no)] if state and state.closed else []
    if state is None:
        raise UnknownRequest("Billing has not heard of this request.")
    match message:
        case LogCharge():
            return log_charge(state, message, known)
        case RemoveCharge():
            return remove_charge(state, message, known)
        case IssueDraft():
            return issue_draft(state, message, now, known)
        case IssueCreditNote():
            return credit(state, message, now, known)
        case _:
            raise TypeError(f"an account does not understand {type(message).__name__}")


def evolve(state: Account | None, fact: Fact) -> Account:
    """The account after a fact."""
    if isinstance(fact, AccountOpened):
        return Account(fact.contact_id, fact.number)
    if state is None:
        raise ValueError(f"{type(fact).__name__} before the account was opened")
    match fact:
        case AccountReopened():
            return changed(state, closed=False)
        case ChargeLogged():
            return changed(state, revision=fact.revision, lines=(*state.lines, _line(fact)))
        case ChargeRemoved():
            kept = tuple(line for line in state.lines if line.line_id != fact.line_id)
            return changed(state, revision=fact.revision, lines=kept)
        case InvoiceDrafted():
            draft = Draft(fact.invoice_id, fact.close_no, state.lines)
            return changed(_closed(state, fact.close_no), lines=(), drafts=(*state.drafts, draft))
        case NothingToBill():
            left = () if fact.reason == "history" else state.lines
            return changed(_closed(state, fact.close_no), lines=left)
        case InvoiceIssued():
            return _issued(state, fact)
        case CreditNoteIssued():
            return changed(state, invoices=tuple(_credited(each, fact) for each in state.invoices))


def _close(state: Account | None, message: Close, now: datetime, known: Known) -> Sequence[Fact]:
    if state is not None:
        return settle(state, message, now, known)
    opened = AccountOpened(message.contact_id, message.number)
    return [opened, *settle(evolve(None, opened), message, now, known)]


def _closed(account: Account, close_no: int) -> Account:
    return changed(account, closed=True, close_no=close_no)


def _issued(account: Account, fact: InvoiceIssued) -> Account:
    """An invoice takes its draft away, or else the open lines with the close that it answers."""
    issued = Invoice(fact.invoice_id, str(fact.number), fact.total)
    invoices = (*account.invoices, issued)[-INVOICES_KEPT:]
    drafts = tuple(each for each in account.drafts if each.invoice_id != fact.invoice_id)
    if len(drafts) < len(account.drafts):
        return changed(account, drafts=drafts, invoices=invoices)
    return changed(_closed(account, fact.close_no), lines=(), invoices=invoices)


def _credited(invoice: Invoice, fact: CreditNoteIssued) -> Invoice:
    return changed(invoice, credited=True) if invoice.invoice_id == fact.invoice_id else invoice


def _line(fact: ChargeLogged) -> Line:
    return Line(
        line_id=fact.line_id,
        revision=fact.revision,
        kind=fact.kind,
        sku=fact.sku,
        description=fact.description,
        quantity=fact.quantity,
        unit_price=fact.unit_price,
        tax_rate=fact.tax_rate,
        net=fact.net,
        tax=fact.tax,
        price_book_version=fact.price_book_version,
    )
