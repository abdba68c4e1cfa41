"""Rows and answers that facts make."""

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import orjson

from billing.deciders import ACCOUNTS, PRICES
from billing.domain.facts import CreditNoteIssued, InvoiceIssued
from billing.domain.messages import Close, IssueCreditNote, IssueDraft, LogCharge, Open
from billing.domain.money import Money
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, Entry, PriceBook, PriceBookSet
from billing.domain.state import Account
from billing.schemas import AccountView, InvoiceView
from chassis.decision import SYSTEM, changed
from chassis.journal import to_json
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
REQUEST, CONTACT = UUID(int=1), UUID(int=2)
BOOK = PriceBook(1, "EUR", (Entry("CABLE", "A cable", "product", Money(D("9.99"), "EUR"), D("0.19")),))
CABLE = LogCharge("CABLE", D(3), None, None, SYSTEM)


class Rows:
    """The tables as the chassis would fill them."""

    def __init__(self) -> None:
        self.account: Account | None = None
        self.tables: dict[str, dict[UUID, dict[str, Any]]] = {}
        self.answer: dict[str, Any] = {}
        self.told = 0

    def tell(self, *messages: Any) -> None:
        for message in messages:
            known = Facts({(PRICE_BOOKS, str(PRICE_BOOK)): BOOK}, message=UUID(int=self.told + 1))
            facts = ACCOUNTS.decide(self.account, message, NOON, known)
            for fact in facts:
                self.told += 1
                self._keep(self._drawn(fact))
            assert self.account is not None
            self.answer = orjson.loads(to_json(ACCOUNTS.answer(REQUEST, self.account, facts)))

    def _drawn(self, fact: Any) -> Any:
        return changed(fact, number="N-1") if isinstance(fact, InvoiceIssued | CreditNoteIssued) else fact

    def _keep(self, fact: Any) -> None:
        self.account = ACCOUNTS.evolve(self.account, fact)
        for table, row in ACCOUNTS.children(REQUEST, self.account, fact, NOON):
            assert row.keys() == set(table.c.keys())
            [key] = [row[column.name] for column in table.primary_key]
            self.tables.setdefault(table.name, {})[key] = row


def opened(*messages: Any) -> Rows:
    rows = Rows()
    rows.tell(Open(CONTACT, "R-000001"), *messages)
    return rows


def view(row: dict[str, Any]) -> InvoiceView:
    credit = dict.fromkeys(("credit_note", "credited_on", "credit_reason"))
    return InvoiceView.of({**row, **credit, "lines": orjson.loads(to_json(row["lines"]))})


def test_an_issued_invoice_is_a_row_with_its_lines() -> None:
    rows = opened(CABLE, Close(1, "resolved", 1, CONTACT, "R-000001", False))
    [row] = rows.tables["invoices"].values()
    shown = view(row).model_dump(mode="json")
    assert (shown["status"], shown["number"], shown["request_number"]) == ("issued", "N-1", "R-000001")
    assert shown["total"] == {"amount": "35.66", "currency": "EUR"}
    assert shown["lines"][0]["unit_price"] == {"amount": "9.99", "currency": "EUR"}


def test_a_draft_is_a_row_without_number_that_becomes_the_invoice() -> None:
    rows = opened(CABLE, Close(1, "resolved", 0, CONTACT, "R-000001", False))
    [draft] = rows.tables["invoices"].values()
    assert (draft["status"], draft["number"], draft["total"]) == ("draft", None, D("35.66"))
    assert view(draft).issued_on is None
    rows.tell(IssueDraft(draft["invoice_id"], SYSTEM))
    [issued] = rows.tables["invoices"].values()
    assert (issued["status"], issued["lines"]) == ("issued", draft["lines"])
    assert rows.answer["number"] == "N-1"


def test_a_credit_note_is_a_row_of_its_own_and_leaves_the_invoice_alone() -> None:
    rows = opened(CABLE, Close(1, "resolved", 1, CONTACT, "R-000001", False))
    [invoice] = rows.tables["invoices"].values()
    rows.tell(IssueCreditNote(invoice["invoice_id"], "Wrong", SYSTEM))
    [note] = rows.tables["credit_notes"].values()
    assert (note["invoice_id"], note["total"], note["reason"]) == (invoice["invoice_id"], D("35.66"), "Wrong")
    assert list(rows.tables["invoices"].values()) == [invoice]


def test_an_answer_says_what_was_made_and_what_it_comes_to() -> None:
    rows = opened(CABLE)
    assert rows.account is not None
    assert rows.answer["line_id"] == str(rows.account.lines[0].line_id)
    assert rows.answer["total"] == {"amount": "35.66", "currency": "EUR"}
    assert (rows.answer["revision"], rows.answer["lines"]) == (1, 1)


def test_the_view_of_an_account_shows_lines_and_projected_totals() -> None:
    rows = opened(CABLE, CABLE)
    assert rows.account is not None
    shown = AccountView.of(REQUEST, rows.account, 2).model_dump(mode="json")
    assert shown["net"] == {"amount": "59.94", "currency": "EUR"}
    assert [line["quantity"] for line in shown["lines"]] == ["3", "3"]
    assert AccountView.of(REQUEST, Account(CONTACT, "R-000001"), 0).total is None


def test_only_logging_a_charge_reads_the_price_book_along() -> None:
    assert list(ACCOUNTS.refs(CABLE)) == [(PRICE_BOOKS, str(PRICE_BOOK))]
    assert list(ACCOUNTS.refs(Open(CONTACT, "R-000001"))) == []
    assert PRICES.name == PRICES.table.name == PRICE_BOOKS


def test_setting_prices_answers_with_the_version() -> None:
    book = PRICES.evolve(None, PriceBookSet(4, "EUR", BOOK.entries))
    assert PRICES.answer(PRICE_BOOK, book, []) == {"version": 4, "currency": "EUR", "entries": 1}


def test_an_account_names_the_contact_whose_erasure_concerns_it() -> None:
    assert list(ACCOUNTS.persons(Account(CONTACT, "R-000001"))) == [CONTACT]
