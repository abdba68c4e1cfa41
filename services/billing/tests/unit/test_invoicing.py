"""Every close is answered exactly once: an invoice, a draft for review, or nothing to bill."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest

from billing.domain.account import decide, evolve
from billing.domain.facts import CreditNoteIssued, Fact, InvoiceDrafted, InvoiceIssued, NothingToBill
from billing.domain.invoicing import drawn
from billing.domain.messages import Close, IssueCreditNote, IssueDraft, LogCharge, RemoveCharge, Reopen
from billing.domain.money import Money
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, Entry, PriceBook
from billing.domain.records import Person
from billing.domain.refusals import AlreadyCredited, AlreadyIssued, MayNotIssue, UnknownInvoice
from billing.domain.state import INVOICES_KEPT, Account
from chassis.decision import Actor, Draw, Invalid, changed
from testkit.deciding import Facts

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
CONTACT, AGENT, BEA = (UUID(int=n) for n in range(1, 4))
BOOK = PriceBook(7, "EUR", (Entry("CABLE", "A cable", "product", Money(D("9.99"), "EUR"), D("0.19")),))
DOCUMENTS = {
    ("person", str(AGENT)): Person(AGENT, True, ("agent",)),
    ("person", str(BEA)): Person(BEA, True, ("billing",)),
    (PRICE_BOOKS, str(PRICE_BOOK)): BOOK,
}
CABLE = LogCharge("CABLE", D(1), None, None, Actor("person", AGENT))
BILLING = Actor("person", BEA)
OPEN = Account(CONTACT, "R-000001")


class Story:
    """An account and everything that was stated about it; numbers are drawn as the chassis would."""

    def __init__(self, account: Account | None = OPEN) -> None:
        self.account = account
        self.facts: list[Fact] = []

    def tell(self, *messages: Any, now: datetime = NOW) -> list[Fact]:
        made: list[Fact] = []
        for message in messages:
            made = []
            for fact in decide(self.account, message, now, Facts(DOCUMENTS, message=UUID(int=len(self.facts) + 1))):
                drawn = self._drawn(fact)
                self.account = evolve(self.account, drawn)
                self.facts.append(drawn)
                made.append(drawn)
        return made

    def _drawn(self, fact: Fact) -> Fact:
        if isinstance(fact, InvoiceIssued | CreditNoteIssued):
            assert isinstance(fact.number, Draw)
            return changed(fact, number=fact.number.pattern.format(len(self.facts)))
        return fact


def close(close_no: int = 1, outcome: str = "resolved", revision: int = 3, history: bool = False) -> Close:
    return Close(close_no, outcome, revision, CONTACT, "R-000001", history)


def issued(story: Story, *messages: Any) -> InvoiceIssued:
    [fact] = story.tell(*messages)
    assert isinstance(fact, InvoiceIssued)
    return fact


def nothing(story: Story, *messages: Any) -> str:
    [fact] = story.tell(*messages)
    assert isinstance(fact, NothingToBill)
    return fact.reason


def test_S52_S59_a_resolved_close_bills_every_line_with_sums_that_add_up() -> None:
    fact = issued(Story(), CABLE, CABLE, CABLE, close())
    assert [fact.net.amount, fact.tax.amount, fact.total.amount] == [D("29.97"), D("5.70"), D("35.67")]
    assert (len(fact.lines), fact.currency, fact.contact_id, fact.close_no) == (3, "EUR", CONTACT, 1)
    assert fact.issued_on == date(2026, 6, 5)


def test_P17_the_number_is_drawn_from_the_series_of_the_year() -> None:
    story = Story()
    story.tell(CABLE)
    assert story.account
    for year in (2026, 2027):
        [fact] = decide(story.account, close(revision=1), NOW.replace(year=year), Facts())
        assert isinstance(fact, InvoiceIssued)
        assert fact.number == Draw(f"invoices-{year}", f"INV-{year}-{{:06d}}")


@pytest.mark.parametrize("outcome", ["unresolved", "cancelled"])
def test_S53_an_unresolved_close_makes_no_invoice_and_leaves_the_lines(outcome: str) -> None:
    story = Story()
    assert nothing(story, CABLE, close(outcome=outcome, revision=1)) == "not-resolved"
    assert story.account
    assert len(story.account.lines) == 1
    assert len(issued(story, Reopen(1), close(2, revision=1)).lines) == 1


def test_a_close_without_charges_says_so() -> None:
    assert nothing(Story(), close(revision=0)) == "no-charges"


def test_a_close_in_history_mode_bills_nothing_ever() -> None:
    story = Story()
    assert nothing(story, CABLE, close(revision=1, history=True)) == "history"
    assert nothing(story, Reopen(1), close(2, revision=1)) == "no-charges"


def test_a_request_that_closes_before_billing_heard_of_it_is_settled_too() -> None:
    story = Story(None)
    assert isinstance(story.tell(close(revision=0))[-1], NothingToBill)
    assert story.account == changed(OPEN, closed=True, close_no=1)


def test_the_same_close_is_answered_once() -> None:
    story = Story()
    issued(story, CABLE, close(revision=1))
    assert story.tell(close(revision=1)) == []
    assert story.tell(Reopen(1), close(1, revision=1)) == []


def test_P14_a_second_resolved_close_bills_only_what_is_new() -> None:
    story = Story()
    first = issued(story, CABLE, close(revision=1))
    second = issued(story, Reopen(1), CABLE, close(2, revision=2))
    assert len(second.lines) == 1
    assert second.lines[0].line_id != first.lines[0].line_id
    assert nothing(story, Reopen(2), close(3, revision=2)) == "nothing-new"


def test_a_close_that_saw_other_charges_makes_a_draft_for_review() -> None:
    story = Story()
    [draft] = story.tell(CABLE, CABLE, close(revision=1))
    assert isinstance(draft, InvoiceDrafted)
    assert (draft.charge_revision_seen, draft.charge_revision, draft.reason) == (1, 2, "charge-revision-differs")
    invoice = issued(story, IssueDraft(draft.invoice_id, BILLING))
    assert (invoice.invoice_id, invoice.close_no, len(invoice.lines)) == (draft.invoice_id, 1, 2)


def test_a_draft_keeps_its_lines_whatever_happens_after_a_reopening() -> None:
    story = Story()
    [draft] = story.tell(CABLE, close(revision=0))
    assert isinstance(draft, InvoiceDrafted)
    story.tell(Reopen(1), CABLE)
    invoice = issued(story, IssueDraft(draft.invoice_id, BILLING))
    assert len(invoice.lines) == 1
    assert story.account
    assert (story.account.closed, len(story.account.lines)) == (False, 1)


def test_a_draft_is_issued_once_and_only_by_billing_staff() -> None:
    story = Story()
    [draft] = story.tell(CABLE, close(revision=0))
    assert isinstance(draft, InvoiceDrafted)
    with pytest.raises(MayNotIssue):
        story.tell(IssueDraft(draft.invoice_id, Actor("person", AGENT)))
    with pytest.raises(UnknownInvoice):
        story.tell(IssueDraft(UUID(int=99), BILLING))
    issued(story, IssueDraft(draft.invoice_id, BILLING))
    with pytest.raises(AlreadyIssued):
        story.tell(IssueDraft(draft.invoice_id, BILLING))


def test_removed_lines_are_on_no_invoice() -> None:
    story = Story()
    story.tell(CABLE, CABLE)
    assert story.account
    removed = story.account.lines[0].line_id
    fact = issued(story, RemoveCharge(removed, BILLING), close())
    assert removed not in {line.line_id for line in fact.lines}


def test_P16_an_invoice_is_taken_back_once_and_in_full() -> None:
    story = Story()
    invoice = issued(story, CABLE, close(revision=1))
    note = IssueCreditNote(invoice.invoice_id, "Wrong cable", BILLING)
    [fact] = story.tell(note)
    assert isinstance(fact, CreditNoteIssued)
    assert (fact.total, fact.invoice_number, fact.reason) == (invoice.total, invoice.number, "Wrong cable")
    with pytest.raises(AlreadyCredited):
        story.tell(note)


def test_a_credit_note_has_a_series_of_its_own() -> None:
    story = Story()
    invoice = issued(story, CABLE, close(revision=1))
    [fact] = decide(story.account, IssueCreditNote(invoice.invoice_id, "Wrong", BILLING), NOW, Facts(DOCUMENTS))
    assert isinstance(fact, CreditNoteIssued)
    assert fact.number == Draw("credit-notes-2026", "CN-2026-{:06d}")


def test_a_credit_note_needs_an_invoice_a_reason_and_the_right() -> None:
    story = Story()
    invoice = issued(story, CABLE, close(revision=1))
    with pytest.raises(UnknownInvoice):
        story.tell(IssueCreditNote(UUID(int=99), "Wrong", BILLING))
    with pytest.raises(Invalid):
        story.tell(IssueCreditNote(invoice.invoice_id, " ", BILLING))
    with pytest.raises(MayNotIssue):
        story.tell(IssueCreditNote(invoice.invoice_id, "Wrong", CABLE.actor))


def test_a_draft_cannot_be_credited() -> None:
    story = Story()
    [draft] = story.tell(CABLE, close(revision=0))
    assert isinstance(draft, InvoiceDrafted)
    with pytest.raises(UnknownInvoice):
        story.tell(IssueCreditNote(draft.invoice_id, "Wrong", BILLING))


def test_reopening_an_open_or_unknown_account_says_nothing() -> None:
    assert Story().tell(Reopen(1)) == []
    assert Story(None).tell(Reopen(1)) == []


def test_an_account_remembers_a_bounded_number_of_invoices() -> None:
    story = Story()
    for close_no in range(1, INVOICES_KEPT + 2):
        issued(story, CABLE, close(close_no, revision=close_no))
        story.tell(Reopen(close_no))
    assert story.account
    assert len(story.account.invoices) == INVOICES_KEPT


def test_a_number_that_was_used_names_its_series() -> None:
    story = Story()
    story.tell(CABLE)
    invoice = issued(story, close(revision=1))
    [credited] = story.tell(IssueCreditNote(invoice.invoice_id, "wrong cable", BILLING))
    [(series, number)] = drawn(changed(invoice, number="INV-2026-000041"))
    assert (series, number) == ("invoices-2026", 41)
    assert isinstance(credited, CreditNoteIssued)
    assert list(drawn(changed(credited, number="CN-2025-1234567"))) == [("credit-notes-2025", 1234567)]
    assert list(drawn(story.facts[0])) == []


def test_the_series_that_is_drawn_from_is_the_one_that_a_number_names() -> None:
    story = Story()
    story.tell(CABLE)
    [fact] = decide(story.account, close(revision=1), NOW, Facts(DOCUMENTS))
    assert isinstance(fact, InvoiceIssued)
    assert isinstance(fact.number, Draw)
    assert list(drawn(changed(fact, number=fact.number.pattern.format(7)))) == [(fact.number.series, 7)]
