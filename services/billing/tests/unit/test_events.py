"""Facts keep their contract to the letter, and what is private stays here."""

from datetime import date
from decimal import Decimal as D
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain import facts
from billing.domain.account import evolve
from billing.domain.currencies import DECIMALS
from billing.domain.money import MOST_PRICE, MOST_QUANTITY, Money, net_and_tax, rounded
from billing.domain.prices import Entry, PriceBookSet
from billing.domain.state import MOST_LINES, MOST_TEXT, Account, text_size
from billing.events import ACCOUNTS, PRICES
from contracts.billing import ChargeLogged
from testkit.deciding import check_codec

LINE, INVOICE, NOTE, CONTACT = (UUID(int=n) for n in range(1, 5))
EVENT_LIMIT = 256 * 1024


def euro(amount: str) -> Money:
    return Money(D(amount), "EUR")


def logged(**change: Any) -> facts.ChargeLogged:
    fields: dict[str, Any] = {
        "line_id": LINE,
        "revision": 1,
        "kind": "product",
        "sku": "CABLE",
        "description": "A cable",
        "quantity": D(3),
        "unit_price": euro("9.99"),
        "tax_rate": D("0.19"),
        "net": euro("29.97"),
        "tax": euro("5.69"),
        "price_book_version": 1,
        "logged_by": facts.Ref("person", CONTACT),
    }
    return facts.ChargeLogged(**{**fields, **change})


def invoice(*lines: facts.InvoiceLine) -> facts.InvoiceIssued:
    amounts = (euro("29.97"), euro("5.69"), euro("35.66"))
    return facts.InvoiceIssued(INVOICE, "INV-2026-000001", 1, CONTACT, "EUR", lines, *amounts, date(2026, 6, 5))


SOLD = facts.InvoiceLine(LINE, "CABLE", "A cable", D(3), euro("9.99"), euro("29.97"), D("0.19"), euro("5.69"))


def test_every_fact_of_an_account_keeps_its_contract_and_reads_back() -> None:
    check_codec(
        ACCOUNTS,
        [
            facts.AccountOpened(CONTACT, "R-000001"),
            facts.AccountReopened(1),
            logged(),
            facts.ChargeRemoved(LINE, 2),
            invoice(SOLD),
            facts.InvoiceDrafted(INVOICE, 1, "charge-revision-differs", 1, 2),
            facts.NothingToBill(1, "no-charges"),
            facts.CreditNoteIssued(
                NOTE, "CN-2026-000001", INVOICE, "INV-2026-000001", euro("35.66"), date(2026, 6, 6), "Wrong"
            ),
        ],
    )


def test_a_price_book_reads_back() -> None:
    check_codec(PRICES, [PriceBookSet(1, "EUR", (Entry("CABLE", "A cable", "product", euro("9.99"), D("0.19")),))])


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD", "CLF"])
@given(data=st.data())
def test_whatever_may_be_charged_keeps_the_contract(currency: str, data: st.DataObject) -> None:
    price = rounded(data.draw(st.decimals(0, MOST_PRICE, places=DECIMALS[currency])), currency)
    quantity = data.draw(st.decimals(D("0.000001"), min(MOST_QUANTITY, D(100)), places=6))
    rate = data.draw(st.decimals(0, 1, places=6))
    net, tax = net_and_tax(quantity, price, rate)
    row = ACCOUNTS.encode(logged(quantity=quantity, unit_price=price, tax_rate=rate, net=net, tax=tax))
    assert row.data is not None
    ChargeLogged.model_validate_json(row.data)


def test_the_longest_invoice_fits_into_one_event() -> None:
    most = Money(D("100000000000.0000"), "CLF")
    text = MOST_TEXT // MOST_LINES
    line = facts.InvoiceLine(
        UUID(int=2**127), "S" * 64, '"' * ((text - 64) // 2), D("999999.999999"), most, most, D("0.190000"), most
    )
    assert MOST_LINES * (text_size(line.sku) + text_size(line.description)) <= MOST_TEXT
    data = ACCOUNTS.encode(invoice(*[line] * MOST_LINES)).data
    assert data is not None
    assert len(data.encode()) < EVENT_LIMIT


def test_an_account_folds_to_the_same_state_after_its_contact_was_erased() -> None:
    """Erasing leaves `data` alone in the journal: what the state needs must stand there."""
    kept: Account | None = None
    erased: Account | None = None
    draft = facts.InvoiceDrafted(NOTE, 2, "charge-revision-differs", 1, 2)
    credit = facts.CreditNoteIssued(NOTE, "CN-1", INVOICE, "INV-1", euro("35.66"), date(2026, 6, 6), "Wrong")
    life = (
        facts.AccountOpened(CONTACT, "R-1"),
        logged(),
        invoice(SOLD),
        facts.AccountReopened(1),
        logged(),
        draft,
        credit,
    )
    for fact in life:
        row = ACCOUNTS.encode(fact)
        kept = evolve(kept, fact)
        erased = evolve(erased, ACCOUNTS.decode(row.type, row.version, row.data, None, None))
    assert erased == kept
