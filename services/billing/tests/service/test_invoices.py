"""Billing on real PostgreSQL: exactly one answer to a close, numbers without gaps, redelivery, reads and rights."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from billing.domain.prices import PRICE_BOOK
from billing.main import SERVICE, Settings
from chassis.clients import Client
from contracts import billing as contract
from contracts import intake, workflow
from contracts.base import ActorRef
from testkit.databases import Databases
from testkit.standing import Standing, standing

BEA, AGENT, CARLA, CARL = (uuid4() for _ in range(4))
ALL = "billing:read billing:write billing:prices billing:issue"
PRICES = {
    "currency": "EUR",
    "entries": [
        {
            "sku": "CABLE",
            "description": "A cable",
            "kind": "product",
            "unit_price": {"amount": "9.99", "currency": "EUR"},
            "tax_rate": "0.19",
        }
    ],
}


def person(who: UUID, login: str, *roles: str) -> workflow.Person:
    return workflow.Person(
        person_id=who, name=login, email=f"{login}@example.org", login=login, active=True, roles=roles, version=1
    )


def contact(who: UUID, login: str) -> intake.Contact:
    return intake.Contact(contact_id=who, name=login, email=f"{login}@example.org", login=login, version=1)


@pytest_asyncio.fixture
async def billing(fresh_database: Databases, tmp_path: Path) -> AsyncIterator[Standing]:
    async with standing(SERVICE, Settings, fresh_database, tmp_path) as found:
        await found.know(person(BEA, "bea", "billing"), person(AGENT, "ann", "agent"))
        await found.know(contact(CARLA, "carla"), contact(CARL, "carl"))
        yield found


NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
ERP = Client("erp", frozenset({"billing:write", "billing:prices", "billing:issue"}))
CABLE = contract.LogCharge(sku="CABLE")


def opened(contact_id: UUID = CARLA) -> workflow.RequestOpened:
    return workflow.RequestOpened(
        number="R-000001",
        contact_id=contact_id,
        queue="support",
        queue_version=1,
        stage="New",
        state="new",
        visit_no=1,
        priority="high",
        urgency="high",
        impact="high",
        received_at=NOON,
    )


def closed(close_no: int = 1, revision: int = 1, contact_id: UUID = CARLA, **more: Any) -> workflow.RequestClosed:
    fields: dict[str, Any] = {"outcome": "resolved", "mode": "live", **more}
    return workflow.RequestClosed(
        close_no=close_no,
        from_stage="Work",
        closed_by=ActorRef(kind="person", id=AGENT),
        charge_revision=revision,
        elapsed_seconds=60,
        breached=False,
        closed_at=NOON,
        contact_id=contact_id,
        number="R-000001",
        **fields,
    )


REOPENED = workflow.RequestReopened(close_no=1, to_stage="Work", visit_no=2)


def key() -> dict[str, str]:
    return {"idempotency-key": uuid4().hex}


async def priced(billing: Standing) -> None:
    outcome = await billing.command(ERP, PRICE_BOOK, contract.SetPriceBook.model_validate_json(json.dumps(PRICES)))
    assert outcome.refused is None


async def charged(billing: Standing, *requests: UUID, contact_id: UUID = CARLA) -> None:
    """Requests with one charge each."""
    await asyncio.gather(*(billing.hear(each, opened(contact_id)) for each in requests))
    logged = await asyncio.gather(*(billing.command(ERP, each, CABLE) for each in requests))
    assert [outcome.refused for outcome in logged] == [None] * len(requests)


async def numbers(billing: Standing) -> list[str]:
    rows = await billing.runtime.database.read("SELECT number FROM invoices ORDER BY number")
    return [row["number"] for row in rows]


async def test_P17_invoices_have_no_gaps_under_eight_concurrent_writers(billing: Standing) -> None:
    await priced(billing)
    requests = [uuid4() for _ in range(40)]
    await charged(billing, *requests)
    accounts = billing.decider("accounts")
    batches = [[billing.next(each, closed()) for each in requests[n::8]] for n in range(8)]
    await asyncio.gather(*(accounts.handle_batch(batch) for batch in batches))
    found = await numbers(billing)
    year = found[0].split("-")[1]
    assert found == [f"INV-{year}-{n:06d}" for n in range(1, 41)]


async def test_a_close_that_is_heard_again_makes_no_second_invoice(billing: Standing) -> None:
    await priced(billing)
    request = uuid4()
    await charged(billing, request)
    accounts = billing.decider("accounts")
    again = [billing.nth(request, closed(), 2) for _ in range(6)]
    outcomes = await asyncio.gather(*(accounts.handle_batch([each]) for each in again))
    assert sum(outcome.duplicate for [outcome] in outcomes) == 5
    assert [kind for kind, _ in await billing.told(request)] == ["billing.charge-logged", "billing.invoice-issued"]
    assert len(await numbers(billing)) == 1


async def test_the_whole_life_of_an_account_over_http(billing: Standing) -> None:
    request = uuid4()
    async with billing.client("bea", ALL) as bea:
        assert (await bea.put("/price-book", json=PRICES, headers=key())).json()["version"] == 1
        assert (await bea.get("/price-book")).json()["entries"][0]["unit_price"]["amount"] == "9.99"
        await billing.hear(request, opened())
        for _ in range(3):
            logged = await bea.post(f"/requests/{request}/charges", json={"sku": "CABLE"}, headers=key())
            assert logged.status_code == 201, logged.text
        removed = await bea.delete(f"/requests/{request}/charges/{logged.json()['line_id']}", headers=key())
        assert (removed.status_code, removed.json()["revision"]) == (200, 4)
        shown = (await bea.get(f"/requests/{request}/charges")).json()
        assert (len(shown["lines"]), shown["total"], shown["edit_version"]) == (
            2,
            {"amount": "23.78", "currency": "EUR"},
            4,
        )
        await billing.hear(request, closed(revision=3))
        [draft] = (await bea.get("/invoices", params={"status": "draft"})).json()["items"]
        assert draft["number"] is None
        path = f"/requests/{request}/invoices/{draft['invoice_id']}"
        issued = (await bea.post(f"{path}/issue", json={}, headers=key())).json()
        credited = await bea.post(f"{path}/credit-notes", json={"reason": "Wrong cable"}, headers=key())
        assert credited.status_code == 201, credited.text
        [invoice] = (await bea.get(f"/requests/{request}/invoices")).json()["items"]
    assert (invoice["number"], invoice["credit_reason"]) == (issued["number"], "Wrong cable")
    assert invoice["credit_note"].startswith("CN-")
    assert invoice["total"] == {"amount": "23.78", "currency": "EUR"}


async def test_S51_a_late_charge_is_refused_with_a_named_reason(billing: Standing) -> None:
    await priced(billing)
    request = uuid4()
    await charged(billing, request)
    await billing.hear(request, closed())
    async with billing.client("ann", ALL) as ann:
        refused = await ann.post(f"/requests/{request}/charges", json={"sku": "CABLE"}, headers=key())
        assert (refused.status_code, refused.json()["type"].split("#")[1]) == (409, "request-closed")
        await billing.hear(request, REOPENED)
        again = await ann.post(f"/requests/{request}/charges", json={"sku": "CABLE"}, headers=key())
        assert again.status_code == 201


async def test_S51_a_late_charge_on_a_clients_topic_is_refused_by_the_same_name(billing: Standing) -> None:
    await priced(billing)
    request = uuid4()
    await charged(billing, request)
    await billing.hear(request, closed())
    outcome = await billing.command(ERP, request, CABLE)
    assert outcome.refused is not None
    assert outcome.refused.slug == "request-closed"


@pytest.mark.parametrize(
    ("close", "reason"),
    [
        (closed(outcome="cancelled"), "not-resolved"),
        (closed(outcome="unresolved"), "not-resolved"),
        (closed(mode="history"), "history"),
    ],
)
async def test_S53_other_closes_say_that_there_is_nothing_to_bill(
    billing: Standing, close: workflow.RequestClosed, reason: str
) -> None:
    await priced(billing)
    request = uuid4()
    await charged(billing, request)
    await billing.hear(request, close)
    kind, body = (await billing.told(request))[-1]
    assert (kind, body["reason"]) == ("billing.nothing-to-bill", reason)
    assert await numbers(billing) == []


async def test_a_contact_sees_only_its_own_issued_invoices(billing: Standing) -> None:
    await priced(billing)
    mine, other, drafted = uuid4(), uuid4(), uuid4()
    await charged(billing, mine, drafted)
    await charged(billing, other, contact_id=CARL)
    await billing.hear(mine, closed())
    await billing.hear(drafted, closed(revision=9))
    await billing.hear(other, closed(contact_id=CARL))
    async with billing.client("carla", "billing:read") as carla, billing.client("ann", "billing:read") as ann:
        theirs = (await ann.get("/invoices")).json()["items"]
        drafts = (await ann.get("/invoices", params={"status": "draft"})).json()["items"]
        assert {each["request_id"] for each in theirs} == {str(mine), str(other)}
        assert [each["request_id"] for each in (await carla.get("/invoices")).json()["items"]] == [str(mine)]
        assert (await carla.get("/invoices", params={"status": "draft"})).json()["items"] == []
        statuses = {
            each["request_id"]: (await carla.get(f"/invoices/{each['invoice_id']}")).status_code
            for each in (*theirs, *drafts)
        }
        assert statuses == {str(mine): 200, str(other): 404, str(drafted): 404}
        for path in (f"/requests/{mine}/charges", f"/requests/{mine}/invoices", "/price-book"):
            assert (await carla.get(path)).status_code == 404
        charge = await carla.post(f"/requests/{mine}/charges", json={"sku": "CABLE"}, headers=key())
        assert charge.status_code == 403


async def test_invoices_come_in_pages(billing: Standing) -> None:
    await priced(billing)
    requests = [uuid4() for _ in range(5)]
    await charged(billing, *requests)
    for each in requests:
        await billing.hear(each, closed())
    seen: list[dict[str, str]] = []
    async with billing.client("ann", "billing:read") as ann:
        after: str | None = None
        for _ in range(3):
            page = (await ann.get("/invoices", params={"limit": 2} | ({"after": after} if after else {}))).json()
            seen += page["items"]
            after = page["next"]
    assert after is None
    assert sorted(each["request_id"] for each in seen) == sorted(str(each) for each in requests)
    ids = [each["invoice_id"] for each in seen]
    assert ids == sorted(ids, reverse=True)


async def test_what_is_not_here_is_404(billing: Standing) -> None:
    async with billing.client("ann", ALL) as ann:
        for path in (f"/requests/{uuid4()}/charges", f"/invoices/{uuid4()}", "/price-book"):
            assert (await ann.get(path)).status_code == 404
        charge = await ann.post(f"/requests/{uuid4()}/charges", json={"sku": "CABLE"}, headers=key())
        assert (charge.status_code, charge.json()["type"].split("#")[1]) == (404, "unknown-request")
