"""The account against a small reference model, whatever happens in whatever order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from billing.domain.account import decide, evolve
from billing.domain.facts import CreditNoteIssued, Fact, InvoiceDrafted, InvoiceIssued, NothingToBill
from billing.domain.messages import Close, IssueCreditNote, IssueDraft, LogCharge, Open, RemoveCharge, Reopen
from billing.domain.money import Money
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, Entry, PriceBook
from billing.domain.state import Account
from chassis.decision import SYSTEM, Refused, changed
from testkit.deciding import Facts

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
CONTACT = UUID(int=1)
BOOK = PriceBook(
    1,
    "EUR",
    (
        Entry("A", "Article", "product", Money(D("9.99"), "EUR"), D("0.19")),
        Entry("B", "Visit", "fee", Money(D("0.05"), "EUR"), D("0.07")),
    ),
)
PRICE = {"A": (D("9.99"), D("0.19")), "B": (D("0.05"), D("0.07"))}


def cents(amount: D) -> D:
    """Half up, written differently from the code under test."""
    return D(int(amount * 100 + D("0.5"))) / 100


@dataclass
class Expected:
    """What the model knows: lines by id with net and tax, what waits for review, what went out."""

    lines: dict[UUID, tuple[D, D]] = field(default_factory=dict)
    drafts: dict[UUID, dict[UUID, tuple[D, D]]] = field(default_factory=dict)
    billed: dict[UUID, D] = field(default_factory=dict)
    credited: set[UUID] = field(default_factory=set)
    answered: dict[int, str] = field(default_factory=dict)
    closed: bool = False
    revision: int = 0


class AccountMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state: Account | None = None
        self.facts: list[Fact] = []
        self.model = Expected()
        self.closes = 0
        self.send(Open(CONTACT, "R-1"))

    def send(self, message: Any) -> list[Fact]:
        known = Facts({(PRICE_BOOKS, str(PRICE_BOOK)): BOOK}, message=UUID(int=len(self.facts) + 1))
        made: list[Fact] = []
        for fact in decide(self.state, message, NOW, known):
            drawn = fact
            if isinstance(fact, InvoiceIssued | CreditNoteIssued):
                drawn = changed(fact, number=f"N-{len(self.facts)}")
            self.state = evolve(self.state, drawn)
            made.append(drawn)
        self.facts += made
        return made

    def refused(self, message: Any) -> bool:
        try:
            self.send(message)
        except Refused:
            return True
        return False

    @rule(sku=st.sampled_from(["A", "B"]), quantity=st.decimals(D("0.01"), 50, places=2))
    def log(self, sku: str, quantity: D) -> None:
        message = LogCharge(sku, quantity, None, None, SYSTEM)
        if self.model.closed:
            assert self.refused(message)
            return
        [fact] = self.send(message)
        price, rate = PRICE[sku]
        net = cents(price * quantity)
        self.model.lines[fact.line_id] = (net, cents(net * rate))  # type: ignore[union-attr]
        self.model.revision += 1

    @precondition(lambda self: self.model.lines)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(sorted(self.model.lines)))
        assert self.refused(RemoveCharge(line, SYSTEM)) == self.model.closed
        if not self.model.closed:
            del self.model.lines[line]
            self.model.revision += 1

    @precondition(lambda self: not self.model.closed)
    @rule(
        outcome=st.sampled_from(["resolved", "resolved", "cancelled"]), behind=st.integers(0, 1), history=st.booleans()
    )
    def close(self, outcome: str, behind: int, history: bool) -> None:
        self.closes += 1
        [fact] = self.send(Close(self.closes, outcome, self.model.revision - behind, CONTACT, "R-1", history))
        self.model.closed = True
        if history or outcome != "resolved" or not self.model.lines:
            assert isinstance(fact, NothingToBill)
            self.model.answered[self.closes] = "nothing"
            if history:
                self.model.lines = {}
        elif behind:
            assert isinstance(fact, InvoiceDrafted)
            self.model.answered[self.closes] = "draft"
            self.model.drafts[fact.invoice_id], self.model.lines = self.model.lines, {}
        else:
            assert isinstance(fact, InvoiceIssued)
            self.model.answered[self.closes] = "invoice"
            self.check_invoice(fact, self.model.lines)
            self.model.lines = {}

    def check_invoice(self, fact: InvoiceIssued, lines: dict[UUID, tuple[D, D]]) -> None:
        assert {line.line_id: (line.net.amount, line.tax.amount) for line in fact.lines} == lines
        net, tax = sum(n for n, _ in lines.values()), sum(t for _, t in lines.values())
        assert (fact.net.amount, fact.tax.amount, fact.total.amount) == (net, tax, net + tax)
        self.model.billed[fact.invoice_id] = fact.total.amount

    @precondition(lambda self: self.closes)
    @rule(data=st.data())
    def hear_an_old_close_again(self, data: st.DataObject) -> None:
        close_no = data.draw(st.integers(1, self.closes))
        assert self.send(Close(close_no, "resolved", self.model.revision, CONTACT, "R-1", False)) == []

    @rule()
    def reopen(self) -> None:
        self.send(Reopen(self.closes))
        self.model.closed = False

    @precondition(lambda self: self.model.drafts)
    @rule(data=st.data())
    def issue(self, data: st.DataObject) -> None:
        draft = data.draw(st.sampled_from(sorted(self.model.drafts)))
        [fact] = self.send(IssueDraft(draft, SYSTEM))
        assert isinstance(fact, InvoiceIssued)
        self.check_invoice(fact, self.model.drafts.pop(draft))
        assert self.refused(IssueDraft(draft, SYSTEM))

    @precondition(lambda self: self.model.billed)
    @rule(data=st.data())
    def credit(self, data: st.DataObject) -> None:
        invoice = data.draw(st.sampled_from(sorted(self.model.billed)))
        assert self.refused(IssueCreditNote(invoice, "Wrong", SYSTEM)) == (invoice in self.model.credited)
        self.model.credited.add(invoice)

    @invariant()
    def every_close_is_answered_exactly_once(self) -> None:
        drafted = {fact.invoice_id for fact in self.facts if isinstance(fact, InvoiceDrafted)}
        answers = [
            fact.close_no
            for fact in self.facts
            if isinstance(fact, NothingToBill | InvoiceDrafted)
            or (isinstance(fact, InvoiceIssued) and fact.invoice_id not in drafted)
        ]
        assert answers == sorted(self.model.answered)

    @invariant()
    def no_line_is_on_two_invoices(self) -> None:
        lines = [line.line_id for fact in self.facts if isinstance(fact, InvoiceIssued) for line in fact.lines]
        assert len(set(lines)) == len(lines)

    @invariant()
    def the_account_holds_what_the_model_holds(self) -> None:
        assert self.state is not None
        assert {line.line_id for line in self.state.lines} == self.model.lines.keys()
        assert (self.state.revision, self.state.closed) == (self.model.revision, self.model.closed)
        assert {invoice.invoice_id: invoice.total.amount for invoice in self.state.invoices} == self.model.billed
        assert {each.invoice_id for each in self.state.invoices if each.credited} == self.model.credited

    @invariant()
    def state_is_the_fold_of_its_facts(self) -> None:
        state: Account | None = None
        for fact in self.facts:
            state = evolve(state, fact)
        assert state == self.state


TestAccountMachine = AccountMachine.TestCase
TestAccountMachine.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
