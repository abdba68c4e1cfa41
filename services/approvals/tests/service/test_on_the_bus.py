"""Approvals on real Kafka and PostgreSQL: asked by workflow's topic, voted on by another system, settled on its own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from approvals.main import SERVICE, Settings
from chassis.clients import Client
from contracts import approvals as contract
from contracts import workflow
from contracts.base import ActorRef
from contracts.policy import Policy
from testkit.databases import Databases
from testkit.eventually import eventually
from testkit.othersystem import OtherSystem, register
from testkit.standing import Standing, at_work, standing
from testkit.streams import PARTITIONS, Wire, make_topics

TOPICS = (
    "workflow.requests", "workflow.people", "workflow.asks", "intake.contacts", "approvals.approvals",
    "approvals.resent", "approvals.dead-letters", "approvals.asks",
)  # fmt: skip
FAR = datetime(2100, 1, 1, tzinfo=UTC)
ANNA, BO, CARLA = uuid4(), uuid4(), uuid4()
OPENED = workflow.RequestOpened(
    number="R-000001", contact_id=CARLA, queue="support", queue_version=1, stage="New", state="new", visit_no=1,
    priority="high", urgency="high", impact="high", received_at=FAR,
)  # fmt: skip
REGRESSED = workflow.StageChanged(
    from_stage="Work", to_stage="New", state="new", visit_no=2, direction="regress", reason="too early"
)


def person(who: UUID, login: str) -> workflow.Person:
    return workflow.Person(person_id=who, name=login, login=login, active=True, roles=("approver",), version=1)


def asks(policy: Policy, *approvers: UUID, due_at: datetime = FAR) -> workflow.TransitionRequested:
    return workflow.TransitionRequested(
        transition_id=uuid4(), from_stage="New", to_stage="Work", visit_no=1, content_hash="sha256:00ff", policy=policy,
        approvers=approvers, summary="Line down", number="R-000001", asked_by=ActorRef(kind="person", id=uuid4()),
        due_at=due_at,
    )  # fmt: skip


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, TOPICS, ["approvals/mail", "approvals/erp"])
    async with Wire(kafka.bootstrap, prefix) as found:
        yield found


@pytest_asyncio.fixture
async def process(fresh_database: Databases, kafka: Any, prefix: str, tmp_path: Path) -> AsyncIterator[Standing]:
    given = {"kafka_bootstrap": kafka.bootstrap, "prefix": prefix, "partitions": PARTITIONS}
    async with standing(SERVICE, Settings, fresh_database, tmp_path, **given) as found:
        rights = frozenset({"approvals:decide"})
        await register(found.runtime, Client("mail", rights, may_act_for_others=True), Client("erp", rights))
        async with at_work(found.runtime):
            yield found


@pytest_asyncio.fixture
async def mail(process: Standing, wire: Wire) -> OtherSystem:
    """A system through which approvers answer, with the service at work and the approvers known to it."""
    await wire.know(1, person(ANNA, "anna"), person(BO, "bo"))
    known = "SELECT count(*) FROM documents WHERE kind = 'person'"

    async def both_known() -> bool:
        return bool((await process.runtime.database.read(known))[0][0] == 2)

    await eventually(both_known, within=30, every=0.1)
    return OtherSystem(wire, "approvals", "mail")


async def told(wire: Wire, request: UUID) -> list[tuple[str, int, bytes]]:
    """(type, sequence, body) of what is told about a request."""
    found = []
    for record in await wire.read("approvals.approvals"):
        if record.key == str(request).encode():
            said = dict(record.headers)
            found.append((said["ce_type"].decode().removeprefix("approvals."), int(said["ce_sequence"]), record.value))
    return found


async def told_in_all(wire: Wire, request: UUID, count: int) -> list[tuple[str, int, bytes]]:
    """The same, once there is so much of it."""

    async def found() -> list[Any]:
        facts = await told(wire, request)
        return facts if len(facts) >= count else []

    return await eventually(found, within=60, every=0.25)


async def asked(wire: Wire, request: UUID) -> contract.ApprovalRequested:
    """The approval that is asked for a request, once it is told."""

    async def first() -> Any:
        return await told(wire, request)

    kind, sequence, body = (await eventually(first, within=60, every=0.25))[0]
    assert (kind, sequence) == ("approval-requested.v1", 1)
    return contract.ApprovalRequested.model_validate_json(body)


def vote(approval: UUID, who: UUID | None, decision: str = "approve") -> contract.Decide:
    more = {} if who is None else {"actor": ActorRef(kind="person", id=who)}
    return contract.Decide(approval_id=approval, decision=decision, comment="Seen", **more)


async def test_S62_a_transition_heard_twice_is_asked_once_voted_on_and_granted_by_topics_alone(
    mail: OtherSystem, wire: Wire
) -> None:
    request, transition = uuid4(), asks(Policy(kind="k", k=2), ANNA, BO)
    for sequence, event in ((1, OPENED), (2, transition), (2, transition)):
        await wire.tell(request, sequence, event)
    approval = await asked(wire, request)
    assert (approval.transition_id, set(approval.approvers)) == (transition.transition_id, {ANNA, BO})
    sent = await mail.send(request, vote(approval.approval_id, ANNA), times=2)
    first, second = await mail.answered(sent, times=2)
    assert first == second
    assert first.kind == "accepted"
    assert (await mail.command(request, vote(approval.approval_id, BO))).kind == "accepted"
    facts = await told_in_all(wire, request, 4)
    assert [(kind, sequence) for kind, sequence, _ in facts] == [
        ("approval-requested.v1", 1),
        ("vote-cast.v1", 2),
        ("vote-cast.v1", 3),
        ("approval-settled.v1", 4),
    ]
    settled = contract.ApprovalSettled.model_validate_json(facts[-1][2])
    assert (settled.outcome, settled.content_hash, settled.approved) == ("granted", "sha256:00ff", 2)


async def test_who_was_not_asked_has_voted_or_acts_for_nobody_is_refused_and_told_why(
    mail: OtherSystem, wire: Wire
) -> None:
    request, erp = uuid4(), OtherSystem(wire, "approvals", "erp")
    await wire.tell(request, 1, OPENED)
    await wire.tell(request, 2, asks(Policy(kind="all"), ANNA, BO))
    approval = (await asked(wire, request)).approval_id
    assert (await mail.command(request, vote(approval, ANNA))).kind == "accepted"
    refused = [
        await mail.command(request, vote(approval, ANNA, "refuse")),
        await mail.command(request, vote(approval, uuid4())),
        await erp.command(request, vote(approval, BO)),
        await erp.command(request, vote(approval, None)),
    ]
    assert [each.refusal for each in refused] == [
        "already-voted",
        "not-an-approver",
        "actor-not-allowed",
        "unknown-approval",
    ]
    assert [kind for kind, _, _ in await told_in_all(wire, request, 2)] == ["approval-requested.v1", "vote-cast.v1"]


async def test_P13_a_regress_that_is_heard_voids_the_approval_once(mail: OtherSystem, wire: Wire) -> None:
    request = uuid4()
    for sequence, event in ((1, OPENED), (2, asks(Policy(kind="any"), ANNA)), (3, REGRESSED), (3, REGRESSED)):
        await wire.tell(request, sequence, event)

    async def settled() -> Any:
        return [body for kind, _, body in await told(wire, request) if kind == "approval-settled.v1"]

    [body] = await eventually(settled, within=60, every=0.25)
    void = contract.ApprovalSettled.model_validate_json(body)
    assert (void.outcome, void.cause) == ("void", "regressed")
    late = await mail.command(request, vote(void.approval_id, ANNA))
    assert late.body["answer"]["approvals"] == [{"approval_id": str(void.approval_id), "outcome": "void"}]


async def test_P11_an_approval_that_nobody_answers_expires_and_says_so(mail: OtherSystem, wire: Wire) -> None:
    request, due_at = uuid4(), datetime.now(UTC) + timedelta(seconds=1)
    await wire.tell(request, 1, OPENED)
    await wire.tell(request, 2, asks(Policy(kind="any"), ANNA, due_at=due_at))

    async def outcome() -> str | None:
        facts = await told(wire, request)
        return contract.ApprovalSettled.model_validate_json(facts[-1][2]).outcome if len(facts) > 1 else None

    assert await eventually(outcome, within=60, every=0.25) == "expired"
