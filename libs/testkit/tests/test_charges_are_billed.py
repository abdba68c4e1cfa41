"""I3 by planted violations: a charge that is lost, billed twice or for another amount; and what is in order.

Each test tells its request's facts by itself; billing's own code is not asked.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import pytest

from cli.reconcile.heard import Heard
from testkit.chaos.auditor import LAWS
from testkit.chaos.children import ChildRow
from testkit.chaos.evidence import Evidence, Shelf
from testkit.chaos.laws.accounts import closes_are_billed
from testkit.chaos.laws.books import invoices_add_up
from testkit.chaos.laws.documents import stored_as_told
from testkit.chaos.operations import Operations

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REQUEST = UUID(int=7)

Line = dict[str, Any]
Laws = Callable[[Evidence], Any]


def line(identifier: str, net: str = "10.10", tax: str = "1.92") -> Line:
    return {
        "line_id": identifier,
        "sku": "VISIT",
        "description": "Technician on site",
        "quantity": "1",
        "unit_price": money(net),
        "net": money(net),
        "tax_rate": "0.19",
        "tax": money(tax),
    }


def money(amount: str | Decimal) -> dict[str, str]:
    return {"amount": str(amount), "currency": "EUR"}


def added(lines: list[Line], part: str) -> Decimal:
    return sum((Decimal(each[part]["amount"]) for each in lines), Decimal())


class Books:
    """The facts of one request's account as they are told, and the rows of its documents."""

    def __init__(self) -> None:
        self.evidence = Evidence(Operations(), shelves={"billing": Shelf()})
        self.revision = 0
        self._told: dict[str, int] = {}

    def tell(self, kind: str, **data: Any) -> None:
        topic = {"billing": "billing.accounts", "workflow": "workflow.requests"}[kind.partition(".")[0]]
        sequence = self._told[topic] = self._told.get(topic, 0) + 1
        identifier = uuid5(REQUEST, f"{topic}{sequence}")
        time = NOON + timedelta(seconds=sum(self._told.values()))
        self.evidence.facts.append(Heard(topic, kind, REQUEST, sequence, identifier, time, data))

    def charge(self, *identifiers: str, **more: str) -> None:
        for identifier in identifiers:
            self.revision += 1
            self.tell("billing.charge-logged", **line(identifier, **more), revision=self.revision)

    def remove(self, identifier: str) -> None:
        self.revision += 1
        self.tell("billing.charge-removed", line_id=identifier, revision=self.revision)

    def close(
        self, close_no: int = 1, *, seen: int | None = None, outcome: str = "resolved", mode: str = "live"
    ) -> None:
        saw = self.revision if seen is None else seen
        self.tell("workflow.request-closed", close_no=close_no, charge_revision=saw, outcome=outcome, mode=mode)

    def invoice(self, *lines: Line, close_no: int = 1, number: str = "INV-2026-000001") -> None:
        told = self._document(list(lines), close_no) | {"number": number}
        amounts = {name: money(told[name]) for name in ("net", "tax", "total")}
        self.tell("billing.invoice-issued", **(told | amounts))
        self._keep("invoices", told["invoice_id"], told | {"status": "issued", "currency": "EUR"})

    def draft(self, *lines: Line, close_no: int = 1) -> None:
        stored = self._document(list(lines), close_no)
        self.tell("billing.invoice-drafted", invoice_id=stored["invoice_id"], close_no=close_no)
        self._keep("invoices", stored["invoice_id"], stored | {"status": "draft", "number": None, "currency": "EUR"})

    def nothing(self, close_no: int = 1, reason: str = "no-charges") -> None:
        self.tell("billing.nothing-to-bill", close_no=close_no, reason=reason)

    def credit(
        self, total: str, *, close_no: int = 1, number: str = "CN-2026-000001", of: str = "INV-2026-000001"
    ) -> None:
        said = {"credit_note_id": number, "invoice_id": f"i{close_no}", "number": number}
        self.tell("billing.credit-note-issued", **said, invoice_number=of, total=money(total))
        self._keep("credit_notes", number, said | {"total": Decimal(total), "currency": "EUR"})

    def _document(self, lines: list[Line], close_no: int) -> Line:
        net, tax = added(lines, "net"), added(lines, "tax")
        return {
            "invoice_id": f"i{close_no}",
            "close_no": close_no,
            "lines": lines,
            "net": net,
            "tax": tax,
            "total": net + tax,
        }

    def _keep(self, table: str, key: str, stored: Line) -> None:
        rows = self.evidence.shelves["billing"].children
        rows[:] = [row for row in rows if (row.table, row.key) != (table, key)]
        rows.append(ChildRow(table, key, REQUEST, stored, stored))

    def row(self, table: str, **changed: Any) -> None:
        """Something else in the rows of a table."""
        rows = self.evidence.shelves["billing"].children
        rows[:] = [each._replace(stored={**(each.stored or {}), **changed}) for each in rows if each.table == table]

    @property
    def found(self) -> list[str]:
        laws: tuple[Laws, ...] = (closes_are_billed, stored_as_told)
        return [name for law in laws for name, where, told in law(self.evidence) if str(REQUEST) in where and told]


@pytest.fixture
def books() -> Books:
    return Books()


def test_two_charges_on_the_invoice_of_their_close_are_in_order(books: Books) -> None:
    books.charge("a", "b")
    books.close()
    books.invoice(line("a"), line("b"))
    assert books.found == []


def test_a_charge_that_was_dropped_is_found_though_the_invoice_adds_up(books: Books) -> None:
    books.charge("a", "b")
    books.close()
    books.invoice(line("a"))
    assert books.found == ["charge-not-billed"]
    assert list(invoices_add_up(books.evidence)) == []
    assert {closes_are_billed, stored_as_told} <= set(LAWS["I3"])


def test_all_charges_dropped_are_found_where_there_was_said_to_be_nothing_to_bill(books: Books) -> None:
    books.charge("a", "b")
    books.close()
    books.nothing()
    assert books.found == ["charge-not-billed", "charge-not-billed"]


def test_a_charge_that_was_removed_is_billed_no_more(books: Books) -> None:
    books.charge("a", "b")
    books.remove("a")
    books.close()
    books.invoice(line("b"))
    assert books.found == []


def test_a_charge_that_was_removed_and_billed_all_the_same_is_found(books: Books) -> None:
    books.charge("a", "b")
    books.remove("a")
    books.close()
    books.invoice(line("a"), line("b"))
    assert books.found == ["billed-though-removed"]


def test_a_charge_removed_twice_or_after_it_was_billed_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.remove("a")
    assert books.found == ["removed-though-gone"]


def test_a_line_twice_on_one_invoice_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"), line("a"))
    assert books.found == ["charge-billed-twice"]


def test_a_reopened_request_bills_only_what_is_new(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.charge("b")
    books.close(2)
    books.invoice(line("b"), close_no=2, number="INV-2026-000002")
    books.close(3)
    books.nothing(3, "nothing-new")
    assert books.found == []


def test_a_charge_of_the_close_before_on_the_next_invoice_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.charge("b")
    books.close(2)
    books.invoice(line("a"), line("b"), close_no=2, number="INV-2026-000002")
    assert books.found == ["charge-billed-twice"]


def test_a_line_that_nobody_charged_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"), line("b"))
    assert books.found == ["billed-without-charge"]


@pytest.mark.parametrize(("net", "found"), [("10.10", 0), ("10.1", 0), ("10.11", 1), ("10.09", 1)])
def test_a_line_bills_exactly_what_was_charged_however_it_is_written(books: Books, net: str, found: int) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a", net=net))
    assert books.found == ["charge-billed-otherwise"] * found


def test_charges_told_after_the_answer_to_a_close_belong_to_the_next_one(books: Books) -> None:
    books.close()
    books.nothing()
    books.charge("a")
    assert books.found == []
    books.close(2)
    books.invoice(line("a"), close_no=2)
    assert books.found == []


def test_a_charge_that_the_closer_had_not_seen_makes_a_draft_which_is_issued_as_it_stands(books: Books) -> None:
    books.charge("a", "b")
    books.close(seen=1)
    books.draft(line("a"), line("b"))
    assert books.found == []
    books.charge("c")
    books.invoice(line("a"), line("b"))
    assert books.found == []


def test_a_charge_that_the_closer_had_not_seen_and_that_is_billed_by_itself_is_found(books: Books) -> None:
    books.charge("a", "b")
    books.close(seen=1)
    books.invoice(line("a"), line("b"))
    assert books.found == ["billed-unseen"]


def test_a_draft_of_charges_that_the_closer_had_seen_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.draft(line("a"))
    assert books.found == ["drafted-for-nothing"]


def test_a_charge_that_is_not_on_its_draft_is_found(books: Books) -> None:
    books.charge("a", "b")
    books.close(seen=1)
    books.draft(line("a"))
    assert books.found == ["charge-not-billed", "draft-differs"]


def test_a_draft_without_a_row_is_found(books: Books) -> None:
    books.charge("a")
    books.close(seen=0)
    books.draft(line("a"))
    books.evidence.shelves["billing"].children.clear()
    assert books.found == ["draft-lost"]


def test_a_charge_that_was_on_the_draft_and_is_not_on_its_invoice_is_found(books: Books) -> None:
    books.charge("a", "b")
    books.close(seen=1)
    books.draft(line("a"), line("b"))
    books.invoice(line("a"))
    assert "charge-not-billed" in books.found


@pytest.mark.parametrize("outcome", ["unresolved", "cancelled"])
def test_charges_of_a_request_that_was_given_up_wait_until_it_is_resolved(books: Books, outcome: str) -> None:
    books.charge("a")
    books.close(outcome=outcome)
    books.nothing(reason="not-resolved")
    books.close(2)
    books.invoice(line("a"), close_no=2)
    assert books.found == []


@pytest.mark.parametrize("how", [{"outcome": "cancelled"}, {"mode": "history"}])
def test_an_invoice_of_a_close_that_bills_nothing_is_found(books: Books, how: dict[str, Any]) -> None:
    books.charge("a")
    books.close(**how)
    books.invoice(line("a"))
    assert books.found == ["billed-though-not-resolved"]


def test_what_was_closed_while_the_request_was_moved_in_is_billed_no_more(books: Books) -> None:
    books.charge("a")
    books.close(mode="history")
    books.nothing(reason="history")
    books.close(2)
    books.nothing(2, "nothing-new")
    assert books.found == []


def test_two_answers_to_a_close_and_one_to_none_are_found(books: Books) -> None:
    books.close()
    books.nothing()
    books.nothing()
    books.nothing(2)
    assert books.found == ["answered-twice", "answered-without-close"]


def test_a_fact_that_comes_again_is_one(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.evidence.facts += books.evidence.facts
    assert books.found == []


@pytest.mark.parametrize(
    ("credited", "found"),
    [
        ({"total": "24.04"}, []),
        ({"total": "24.03"}, ["credited-otherwise"]),
        ({"total": "24.04", "of": "INV-2026-000009"}, ["credited-otherwise"]),
        ({"total": "24.04", "close_no": 2}, ["credited-from-nothing"]),
    ],
)
def test_a_credit_note_takes_back_exactly_its_invoice(books: Books, credited: dict[str, Any], found: list[str]) -> None:
    books.charge("a", "b")
    books.close()
    books.invoice(line("a"), line("b"))
    books.credit(**credited)
    assert books.found == found


def test_an_invoice_credited_twice_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.credit("12.02")
    books.credit("12.02", number="CN-2026-000002")
    assert books.found == ["credited-twice"]


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        ("invoices", {"total": Decimal("12.03")}),
        ("invoices", {"status": "draft"}),
        ("invoices", {"number": "INV-2026-000002"}),
        ("invoices", {"lines": []}),
        ("invoices", {"lines": [line("a", net="10.11")]}),
        ("invoices", {"currency": "USD"}),
        ("credit_notes", {"total": Decimal("12.01")}),
        ("credit_notes", {"invoice_id": "i2"}),
    ],
)
def test_a_document_that_is_shown_otherwise_than_it_was_told_is_found(
    books: Books, table: str, changed: dict[str, Any]
) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.credit("12.02")
    assert books.found == []
    books.row(table, **changed)
    assert "document-differs" in books.found


def test_a_document_that_was_told_and_has_no_row_is_found(books: Books) -> None:
    books.charge("a")
    books.close()
    books.invoice(line("a"))
    books.evidence.shelves["billing"].children.clear()
    assert books.found == ["document-lost"]
