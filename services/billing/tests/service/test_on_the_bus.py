"""Billing on real Kafka and PostgreSQL: from the first fact of a request to its one invoice, by topics alone."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest_asyncio

from billing.domain.prices import PRICE_BOOK
from billing.main import SERVICE, Settings
from chassis.clients import Client
from contracts import billing, workflow
from contracts.base import ActorRef
from testkit.databases import Databases
from testkit.othersystem import OtherSystem, register
from testkit.standing import Standing, at_work, standing
from testkit.streams import PARTITIONS, Wire, make_topics

TOPICS = (
    "workflow.requests", "workflow.people", "intake.contacts", "workflow.asks",
    "billing.accounts", "billing.resent", "billing.dead-letters", "billing.asks",
)  # fmt: skip
NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
CARLA = uuid4()
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
OPENED = workflow.RequestOpened(
    number="R-000001",
    contact_id=CARLA,
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
CLOSED = workflow.RequestClosed(
    outcome="resolved",
    close_no=1,
    from_stage="Work",
    closed_by=ActorRef(kind="person", id=uuid4()),
    charge_revision=1,
    elapsed_seconds=60,
    breached=False,
    closed_at=NOON,
    contact_id=CARLA,
    number="R-000001",
)


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, TOPICS, ["billing/erp"])
    async with Wire(kafka.bootstrap, prefix) as found:
        yield found


@pytest_asyncio.fixture
async def process(fresh_database: Databases, kafka: Any, prefix: str, tmp_path: Path) -> AsyncIterator[Standing]:
    given = {"kafka_bootstrap": kafka.bootstrap, "prefix": prefix, "partitions": PARTITIONS}
    async with standing(SERVICE, Settings, fresh_database, tmp_path, **given) as found:
        await register(found.runtime, Client("erp", frozenset({"billing:write", "billing:prices"})))
        yield found


async def test_S52_a_request_is_charged_closed_and_billed_exactly_once_by_topics_alone(
    process: Standing, wire: Wire, eventually: Callable[..., Any]
) -> None:
    request, erp = uuid4(), OtherSystem(wire, "billing", "erp")
    async with at_work(process.runtime):
        await erp.command(PRICE_BOOK, billing.SetPriceBook.model_validate(PRICES))
        await wire.tell(request, 1, OPENED)
        kind, logged = await erp.command(request, billing.LogCharge(sku="CABLE", quantity="3"))
        assert (kind, logged["answer"]["revision"]) == ("accepted", 1)
        for _ in range(3):
            await wire.tell(request, 2, CLOSED)

        async def billed() -> bool:
            return len(await wire.read("billing.accounts")) >= 2

        await eventually(billed, within=60, every=0.25)
        late = await erp.command(request, billing.LogCharge(sku="CABLE"))
        assert (late.kind, late.refusal) == ("refused", "request-closed")
    records = await wire.read("billing.accounts")
    assert {record.key for record in records} == {str(request).encode()}
    assert [dict(record.headers)["ce_type"] for record in records] == [
        b"billing.charge-logged.v1",
        b"billing.invoice-issued.v1",
    ]
    invoice = billing.InvoiceIssued.model_validate_json(records[1].value)
    assert (str(invoice.total.amount), invoice.contact_id, len(invoice.lines)) == ("35.66", CARLA, 1)
