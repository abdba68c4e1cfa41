"""What a close means for the account: an invoice, a draft for review, or nothing to bill. Exactly one, once a close."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from billing.domain import rights
from billing.domain.facts import CreditNoteIssued, InvoiceDrafted, InvoiceIssued, InvoiceLine, NothingToBill
from billing.domain.messages import Close, IssueCreditNote, IssueDraft
from billing.domain.money import total
from billing.domain.refusals import AlreadyCredited, AlreadyIssued, MayNotIssue, UnknownInvoice
from billing.domain.state import Account, Line
from chassis.decision import Actor, Draw, Invalid, Known


def settle(
    account: Account, message: Close, now: datetime, known: Known
) -> Sequence[InvoiceIssued | InvoiceDrafted | NothingToBill]:
    """Answer a close; a close that was answered before says nothing again."""
    if message.close_no <= account.close_no:
        return []
    reason = _nothing_to_bill(account, message)
    if reason:
        return [NothingToBill(message.close_no, reason)]
    if message.charge_revision != account.revision:
        return [
            InvoiceDrafted(
                invoice_id=known.new_id(),
                close_no=message.close_no,
                reason="charge-revision-differs",
                charge_revision_seen=message.charge_revision,
                charge_revision=account.revision,
            )
        ]
    return [invoice(known.new_id(), message.close_no, account.contact_id, account.lines, now)]


def issue_draft(account: Account, message: IssueDraft, now: datetime, known: Known) -> Sequence[InvoiceIssued]:
    """A reviewed draft becomes an invoice, with the lines that were frozen for it."""
    _may_issue(message.actor, known)
    if any(each.invoice_id == message.invoice_id for each in account.invoices):
        raise AlreadyIssued("The draft has become an invoice before.")
    for draft in account.drafts:
        if draft.invoice_id == message.invoice_id:
            return [invoice(draft.invoice_id, draft.close_no, account.contact_id, draft.lines, now)]
    raise UnknownInvoice("The request has no such draft.")


def credit(account: Account, message: IssueCreditNote, now: datetime, known: Known) -> Sequence[CreditNoteIssued]:
    """Take an invoice back in full, once; the reason is part of the document."""
    _may_issue(message.actor, known)
    if not message.reason.strip():
        raise Invalid("A credit note says why.", {"/reason": "not blank"})
    issued = next((each for each in account.invoices if each.invoice_id == message.invoice_id), None)
    if issued is None:
        raise UnknownInvoice("The request has no such invoice.")
    if issued.credited:
        raise AlreadyCredited("The invoice has been credited before.", number=issued.number)
    return [
        CreditNoteIssued(
            credit_note_id=known.new_id(),
            number=Draw(f"credit-notes-{now.year}", f"CN-{now.year}-{{:06d}}"),
            invoice_id=issued.invoice_id,
            invoice_number=issued.number,
            total=issued.total,
            issued_on=now.date(),
            reason=message.reason,
        )
    ]


def invoice(invoice_id: UUID, close_no: int, contact_id: UUID, lines: Iterable[Line], now: datetime) -> InvoiceIssued:
    """The invoice over these lines, all of one currency; its totals are the sums of its lines."""
    each = tuple(on_invoice(line) for line in lines)
    currency = each[0].net.currency
    net, tax = total((line.net for line in each), currency), total((line.tax for line in each), currency)
    return InvoiceIssued(
        invoice_id=invoice_id,
        number=Draw(f"invoices-{now.year}", f"INV-{now.year}-{{:06d}}"),
        close_no=close_no,
        contact_id=contact_id,
        currency=currency,
        lines=each,
        net=net,
        tax=tax,
        total=total((net, tax), currency),
        issued_on=now.date(),
    )


def drawn(fact: object) -> Iterable[tuple[str, int]]:
    """The number that an invoice or a credit note has used up, with its series."""
    if isinstance(fact, InvoiceIssued | CreditNoteIssued):
        _, year, number = str(fact.number).split("-")
        kind = "invoices" if isinstance(fact, InvoiceIssued) else "credit-notes"
        yield f"{kind}-{year}", int(number)


def _nothing_to_bill(account: Account, message: Close) -> str | None:
    if message.history:
        return "history"
    if message.outcome != "resolved":
        return "not-resolved"
    if account.lines:
        return None
    return "nothing-new" if account.invoices or account.drafts else "no-charges"


def on_invoice(line: Line) -> InvoiceLine:
    """The line as an invoice shows it."""
    return InvoiceLine(
        line_id=line.line_id,
        sku=line.sku,
        description=line.description,
        quantity=line.quantity,
        unit_price=line.unit_price,
        net=line.net,
        tax_rate=line.tax_rate,
        tax=line.tax,
    )


def _may_issue(actor: Actor, known: Known) -> None:
    if not rights.may_issue(actor, known):
        raise MayNotIssue("Only billing staff issue and credit invoices.")
