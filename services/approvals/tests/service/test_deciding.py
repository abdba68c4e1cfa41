"""Approvals on real PostgreSQL: the pending list, racing votes, expiry by the agenda, redelivery, rights."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from approvals.main import SERVICE, Settings
from chassis.agenda import Agenda
from chassis.asked import Asked
from chassis.clients import Client
from contracts import approvals as contract
from contracts import intake, workflow
from contracts.base import ActorRef
from contracts.policy import Policy
from testkit.databases import Databases
from testkit.standing import Standing, standing

ANNA, BO, CLEO, OTTO, CARLA = (uuid4() for _ in range(5))
SCOPES = "approvals:read approvals:decide"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def person(who: UUID, login: str, *, active: bool = True) -> workflow.Person:
    return workflow.Person(
        person_id=who,
        name=login,
        email=f"{login}@example.org",
        login=login,
        active=active,
        roles=("approver",),
        version=1,
    )


@pytest_asyncio.fixture
async def approvals(fresh_database: Databases, tmp_path: Path) -> AsyncIterator[Standing]:
    async with standing(SERVICE, Settings, fresh_database, tmp_path) as found:
        await found.know(
            person(ANNA, "anna"), person(BO, "bo"), person(CLEO, "cleo"), person(OTTO, "otto", active=False)
        )
        await found.know(intake.Contact(contact_id=CARLA, name="c", email="c@example.org", login="carla", version=1))
        yield found


def opened() -> workflow.RequestOpened:
    return workflow.RequestOpened(
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
        received_at=FAR,
    )


def ask(policy: Policy, *approvers: UUID, due_at: datetime | None = FAR) -> workflow.TransitionRequested:
    return workflow.TransitionRequested(
        transition_id=uuid4(),
        from_stage="New",
        to_stage="Work",
        visit_no=1,
        content_hash="sha256:00ff",
        policy=policy,
        approvers=approvers,
        summary="Line down",
        number="R-000001",
        asked_by=ActorRef(kind="person", id=uuid4()),
        due_at=due_at,
    )


def stage_changed(direction: str, state: str = "in-progress") -> workflow.StageChanged:
    return workflow.StageChanged(from_stage="New", to_stage="Other", state=state, visit_no=2, direction=direction)


async def asked(approvals: Standing, request: UUID, message: workflow.TransitionRequested) -> UUID:
    """The id of the approval that this asks for."""
    await approvals.hear(request, opened(), message)
    [told, *_] = [body for kind, body in await approvals.told(request) if kind == "approvals.approval-requested"]
    return UUID(told["approval_id"])


def key() -> dict[str, str]:
    return {"idempotency-key": uuid4().hex}


def nothing_waits(row: Any) -> Asked:
    raise AssertionError(f"{row} waits")


def outcomes(told: Any) -> list[str]:
    return [body["outcome"] for kind, body in told if kind == "approvals.approval-settled"]


async def decided(approvals: Standing, login: str, request: UUID, approval: UUID, decision: str = "approve") -> Any:
    async with approvals.client(login, SCOPES) as client:
        body = {"approval_id": str(approval), "decision": decision, "comment": "Seen"}
        return await client.post(f"/requests/{request}/decisions", json=body, headers=key())


async def pending(approvals: Standing, login: str) -> list[str]:
    async with approvals.client(login, SCOPES) as client:
        return [each["approval_id"] for each in (await client.get("/pending")).json()["items"]]


async def test_S63_approvals_wait_on_the_list_of_everybody_asked_until_they_settle(approvals: Standing) -> None:
    request = uuid4()
    approval = await asked(approvals, request, ask(Policy(kind="any"), ANNA, BO))
    for login in ("anna", "bo"):
        assert await pending(approvals, login) == [str(approval)]
    assert await pending(approvals, "cleo") == []
    answer = await decided(approvals, "anna", request, approval)
    assert answer.json()["approvals"] == [{"approval_id": str(approval), "outcome": "granted"}]
    for login in ("anna", "bo"):
        assert await pending(approvals, login) == []


async def test_S62_an_approval_shows_who_decided_what(approvals: Standing) -> None:
    request = uuid4()
    approval = await asked(approvals, request, ask(Policy(kind="k", k=2), ANNA, BO, CLEO))
    await decided(approvals, "anna", request, approval, "refuse")
    async with approvals.client("bo", SCOPES) as bo:
        [shown] = (await bo.get(f"/requests/{request}/approvals")).json()["items"]
        assert (await bo.get(f"/approvals/{approval}")).json() == shown
    votes = {vote["person_id"]: (vote["decision"], vote["comment"]) for vote in shown["votes"]}
    assert votes == {str(ANNA): ("refuse", "Seen"), str(BO): (None, None), str(CLEO): (None, None)}
    assert (shown["outcome"], shown["needed"], shown["summary"]) == (None, 2, "Line down")


async def test_P9_votes_that_race_settle_an_approval_exactly_once(approvals: Standing) -> None:
    requests = {uuid4(): ask(Policy(kind="any"), ANNA, BO, CLEO) for _ in range(10)}
    found = {request: await asked(approvals, request, message) for request, message in requests.items()}
    answers = await asyncio.gather(
        *(
            decided(approvals, login, request, approval)
            for request, approval in found.items()
            for login in ("anna", "bo", "cleo")
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    for request in found:
        told = await approvals.told(request)
        assert outcomes(told) == ["granted"]
        assert sorted(body["late"] for kind, body in told if kind == "approvals.vote-cast") == [False, True, True]


async def test_P11_an_approval_expires_by_itself(approvals: Standing, eventually: Callable[..., Any]) -> None:
    request = uuid4()
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    await asked(approvals, request, ask(Policy(kind="any"), ANNA, due_at=soon))
    agenda = Agenda(approvals.runtime.database, approvals.runtime.deciders, nothing_waits)

    async def expired() -> bool:
        await agenda.sweep()
        return outcomes(await approvals.told(request)) == ["expired"]

    await eventually(expired, within=10)
    assert await pending(approvals, "anna") == []


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (stage_changed("regress"), "regressed"),
        (stage_changed("jump"), "superseded"),
        (stage_changed("progress", "closed"), "closed"),
    ],
)
async def test_P13_a_request_that_leaves_the_stage_voids_its_approval(
    approvals: Standing, change: workflow.StageChanged, cause: str
) -> None:
    request = uuid4()
    approval = await asked(approvals, request, ask(Policy(kind="all"), ANNA, BO))
    await approvals.hear(request, change)
    assert [(body["outcome"], body["cause"]) for _, body in (await approvals.told(request))[1:]] == [("void", cause)]
    late = await decided(approvals, "bo", request, approval)
    assert (late.status_code, late.json()["approvals"][0]["outcome"]) == (200, "void")


async def test_P13_a_withdrawn_transition_voids_its_approval(approvals: Standing) -> None:
    request, message = uuid4(), ask(Policy(kind="all"), ANNA, BO)
    await asked(approvals, request, message)
    await approvals.hear(request, workflow.TransitionWithdrawn(transition_id=message.transition_id, cause="edited"))
    assert outcomes(await approvals.told(request)) == ["void"]


async def test_a_client_that_acts_for_an_approver_decides_by_its_topic(approvals: Standing) -> None:
    request = uuid4()
    approval = await asked(approvals, request, ask(Policy(kind="any"), ANNA))
    mail = Client("mail", frozenset({"approvals:decide"}), may_act_for_others=True)
    vote = contract.Decide(approval_id=approval, decision="approve")
    alone = await approvals.command(mail, request, vote)
    assert alone.refused is not None
    assert alone.refused.slug == "unknown-approval"
    outcome = await approvals.command(
        mail, request, vote.model_copy(update={"actor": ActorRef(kind="person", id=ANNA)})
    )
    assert outcome.refused is None
    assert outcomes(await approvals.told(request)) == ["granted"]


async def test_what_is_heard_twice_is_asked_once(approvals: Standing) -> None:
    request, message = uuid4(), ask(Policy(kind="any"), ANNA)
    decider = approvals.decider("approval_files")
    await decider.handle_batch([approvals.nth(request, opened(), 1)])
    done = await asyncio.gather(*(decider.handle_batch([approvals.nth(request, message, 2)]) for _ in range(4)))
    assert sum(outcome.duplicate for [outcome] in done) == 3
    assert [kind for kind, _ in await approvals.told(request)] == ["approvals.approval-requested"]


async def test_S62_nobody_left_to_ask_is_refused_at_once(approvals: Standing) -> None:
    request = uuid4()
    await asked(approvals, request, ask(Policy(kind="any"), OTTO))
    assert [body.get("cause") for _, body in await approvals.told(request)] == [None, "no-approver"]
    assert outcomes(await approvals.told(request)) == ["refused"]


async def test_only_those_who_were_asked_decide_and_contacts_see_nothing(approvals: Standing) -> None:
    request = uuid4()
    approval = await asked(approvals, request, ask(Policy(kind="any"), ANNA))
    for login, status in (("cleo", 403), ("carla", 404), ("otto", 403)):
        assert (await decided(approvals, login, request, approval)).status_code == status
    async with approvals.client("carla", SCOPES) as carla:
        for path in (f"/requests/{request}/approvals", f"/approvals/{approval}"):
            assert (await carla.get(path)).status_code == 404
        assert (await carla.get("/pending")).json()["items"] == []
    async with approvals.client("anna", SCOPES) as anna:
        assert (await anna.get(f"/approvals/{uuid4()}")).status_code == 404


async def test_the_pending_list_comes_in_pages_the_oldest_first(approvals: Standing) -> None:
    expected = [str(await asked(approvals, uuid4(), ask(Policy(kind="any"), ANNA))) for _ in range(5)]
    seen: list[str] = []
    async with approvals.client("anna", SCOPES) as anna:
        after: str | None = None
        for _ in range(3):
            page = (await anna.get("/pending", params={"limit": 2} | ({"after": after} if after else {}))).json()
            seen += [each["approval_id"] for each in page["items"]]
            after = page["next"]
    assert after is None
    assert seen == sorted(expected)
