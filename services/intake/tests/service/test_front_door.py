"""Intake on real PostgreSQL: submissions by HTTP and by topic, claims that race, who sees what, what is heard."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest
import pytest_asyncio

from chassis.clients import Client
from contracts import intake as contract
from contracts import workflow
from contracts.base import ActorRef
from intake.main import SERVICE, Settings
from testkit.databases import Databases
from testkit.standing import Standing, standing

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
ANN, ACME = uuid4(), uuid4()
STAFF = "requests:read requests:write contacts:read contacts:write contacts:erase"
CONTACT = "requests:read requests:write contacts:read contacts:write"
ERP = Client("erp", frozenset({"requests:write", "contacts:write"}))
CRM = Client("crm", frozenset({"requests:write"}))


@pytest_asyncio.fixture
async def intake(fresh_database: Databases, tmp_path: Path) -> AsyncIterator[Standing]:
    async with standing(SERVICE, Settings, fresh_database, tmp_path) as found:
        await found.know(
            workflow.CurrentQueue(queue="support", version=3),
            workflow.Person(person_id=ANN, name="Ann", login="ann", active=True, roles=("agent",), version=1),
        )
        yield found


def key() -> dict[str, str]:
    return {"idempotency-key": uuid4().hex}


async def registered(
    intake: Standing, login: str | None = None, organisation_id: UUID | None = None, **more: Any
) -> UUID:
    """A contact, known to intake."""
    contact_id = uuid4()
    command = contract.RegisterContact(
        contact_id=contact_id, name=login or "Carl", login=login, organisation_id=organisation_id, **more
    )
    outcome = await intake.command(ERP, contact_id, command)
    assert outcome.refused is None
    return contact_id


async def organised(intake: Standing, *, share: bool) -> UUID:
    organisation_id = uuid4()
    command = contract.RegisterOrganisation(organisation_id=organisation_id, name="Acme", share_requests=share)
    assert (await intake.command(ERP, organisation_id, command)).refused is None
    return organisation_id


def submission(contact_id: UUID, **more: Any) -> dict[str, Any]:
    return {"contact_id": str(contact_id), "queue": "support", "summary": "Line down", **more}


async def submitted(client: httpx2.AsyncClient, contact_id: UUID, **more: Any) -> dict[str, Any]:
    answer = await client.post("/requests", json=submission(contact_id, **more), headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def slug(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].split("#")[1]


def opened(contact_id: UUID) -> workflow.RequestOpened:
    return workflow.RequestOpened(
        number="R-000001", contact_id=contact_id, queue="support", queue_version=3, stage="New", state="new",
        visit_no=1, priority="medium", urgency="medium", impact="medium", received_at=NOON,
    )  # fmt: skip


MOVED = workflow.StageChanged(from_stage="New", to_stage="Work", state="in-progress", visit_no=1, direction="progress")


# -- submissions -----------------------------------------------------------------------------------------------------


async def test_S103_a_request_is_captured_numbered_and_told(intake: Standing) -> None:
    carl = await registered(intake)
    async with intake.client("ann", STAFF) as ann:
        answer = await ann.post("/requests", json=submission(carl, custom={"site": "B1"}), headers=key())
        request = answer.json()["request_id"]
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"/intake/v1/requests/{request}"
        assert answer.headers["throughline-position"] == f"intake.requests/{request}@1"
        shown = (await ann.get(f"/requests/{request}")).json()
        [found] = (await ann.get("/requests", params={"number": shown["number"]})).json()["items"]
    assert (shown["number"], shown["status"], shown["queue_version"]) == ("R-000001", "submitted", 3)
    assert (shown["owner_id"], shown["channel"], shown["custom"]) == (str(ANN), "agent", {"site": "B1"})
    assert found["request_id"] == request
    [(kind, body)] = await intake.told(UUID(request))
    assert (kind, body["number"], body["summary"]) == ("intake.request-submitted", "R-000001", "Line down")
    assert "client" not in body


async def test_repeating_with_the_same_key_submits_once_under_one_number(intake: Standing) -> None:
    carl, same = await registered(intake), key()
    async with intake.client("ann", STAFF) as ann:
        answers = await asyncio.gather(*(ann.post("/requests", json=submission(carl), headers=same) for _ in range(6)))
        listed = (await ann.get("/requests")).json()["items"]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert len(listed) == 1


async def test_S31_numbers_are_unique_under_concurrent_submissions(intake: Standing) -> None:
    carl = await registered(intake)
    async with intake.client("ann", STAFF) as ann:
        answers = await asyncio.gather(*(submitted(ann, carl) for _ in range(40)))
    assert len({answer["number"] for answer in answers}) == 40


async def test_S31_the_scheme_is_a_setting(fresh_database: Databases, tmp_path: Path) -> None:
    class Yearly(Settings):
        request_number: str = "{year}-{:04d}"

    async with standing(SERVICE, Yearly, fresh_database, tmp_path) as intake:
        await intake.know(workflow.CurrentQueue(queue="support", version=3))
        carl = await registered(intake)
        request = uuid4()
        outcome = await intake.command(ERP, request, contract.Submit(**submission(carl)))
        assert outcome.refused is None
        [(_, body)] = await intake.told(request)
    assert body["number"].endswith("-0001")
    assert len(body["number"]) == len("2026-0001")


async def test_an_unknown_queue_or_contact_is_404(intake: Standing) -> None:
    carl = await registered(intake)
    async with intake.client("ann", STAFF) as ann:
        queue = await ann.post("/requests", json=submission(carl, queue="sales"), headers=key())
        contact = await ann.post("/requests", json=submission(uuid4()), headers=key())
    assert slug(queue) == (404, "queue-not-known")
    assert slug(contact) == (404, "contact-not-known")


async def test_wrong_fields_are_named_together(intake: Standing) -> None:
    carl = await registered(intake)
    async with intake.client("ann", STAFF) as ann:
        answer = await ann.post(
            "/requests", json=submission(carl, summary=" ", received_at="2031-01-01T00:00:00Z"), headers=key()
        )
    assert slug(answer) == (422, "invalid")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/summary", "/received_at"}


async def test_a_clients_reference_names_one_request_however_many_ask(intake: Standing) -> None:
    carl = await registered(intake)
    command = contract.Submit(**submission(carl, external_reference="4711"))
    outcomes = await asyncio.gather(*(intake.command(ERP, uuid4(), command) for _ in range(12)))
    won = [outcome for outcome in outcomes if outcome.refused is None]
    lost = {outcome.refused.slug for outcome in outcomes if outcome.refused is not None}
    assert (len(won), lost) == (1, {"external-reference-taken"})
    holders = {outcome.refused.facts["request_id"] for outcome in outcomes if outcome.refused is not None}
    assert holders == {str(won[0].subject)}
    assert (await intake.command(CRM, uuid4(), command)).refused is None


# -- contacts --------------------------------------------------------------------------------------------------------


async def test_a_contact_is_registered_read_and_changed_under_its_version(intake: Standing) -> None:
    async with intake.client("ann", STAFF) as ann:
        made = await ann.post("/contacts", json={"name": "Carl", "email": "Carl@acme.example"}, headers=key())
        assert made.status_code == 201, made.text
        path = made.headers["location"].removeprefix("/intake/v1")
        read = await ann.get(path)
        assert (read.json()["name"], read.headers["etag"]) == ("Carl", made.headers["etag"])
        assert path.endswith(read.json()["contact_id"])
        tag = {"if-match": read.headers["etag"]}
        changed = await ann.patch(path, json={"phone": "+49 30 1"}, headers=key() | tag)
        late = await ann.patch(path, json={"phone": "+49 30 2"}, headers=key() | tag)
        bare = await ann.patch(path, json={"phone": "+49 30 2"}, headers=key())
        [found] = (await ann.get("/contacts", params={"email": "carl@ACME.example"})).json()["items"]
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert slug(late) == (412, "stale-version")
    assert slug(bare) == (428, "if-match-missing")
    assert (found["phone"], found["version"]) == ("+49 30 1", 2)


async def test_a_login_is_one_contacts_however_many_ask(intake: Standing) -> None:
    ids = [uuid4() for _ in range(12)]
    commands = [contract.RegisterContact(contact_id=each, name="Carl", login="carl") for each in ids]
    outcomes = await asyncio.gather(
        *(intake.command(ERP, each, command) for each, command in zip(ids, commands, strict=True))
    )
    assert [outcome.refused.slug for outcome in outcomes if outcome.refused] == ["login-taken"] * 11


async def test_a_login_that_was_given_up_is_free(intake: Standing) -> None:
    first, second = await registered(intake, "carl"), await registered(intake)
    taken = await intake.command(ERP, second, contract.UpdateContact(login="carl"))
    assert taken.refused is not None
    assert taken.refused.slug == "login-taken"
    assert (await intake.command(ERP, first, contract.UpdateContact(login=None))).refused is None
    assert (await intake.command(ERP, second, contract.UpdateContact(login="carl"))).refused is None


async def test_a_contact_changes_itself_alone(intake: Standing) -> None:
    carl, dora = await registered(intake, "carl"), await registered(intake, "dora")
    async with intake.client("carl", CONTACT) as client:
        own = await client.patch(f"/contacts/{carl}", json={"name": "Charles"}, headers=key() | {"if-match": "*"})
        other = await client.patch(f"/contacts/{dora}", json={"name": "x"}, headers=key() | {"if-match": "*"})
        login = await client.patch(f"/contacts/{carl}", json={"login": "boss"}, headers=key() | {"if-match": "*"})
        made = await client.post("/contacts", json={"name": "x"}, headers=key())
    assert own.status_code == 200
    assert [slug(each) for each in (other, login, made)] == [
        (404, "contact-not-known"),
        (403, "field-not-allowed"),
        (403, "staff-only"),
    ]


# -- who sees what ---------------------------------------------------------------------------------------------------


async def test_a_contact_sees_its_own_requests_alone(intake: Standing) -> None:
    carl, dora = await registered(intake, "carl"), await registered(intake, "dora")
    async with intake.client("ann", STAFF) as ann, intake.client("carl", CONTACT) as client:
        mine, other = await submitted(client, carl), await submitted(ann, dora)
        assert [each["request_id"] for each in (await client.get("/requests")).json()["items"]] == [mine["request_id"]]
        assert (await client.get(f"/requests/{mine['request_id']}")).status_code == 200
        assert (await client.get(f"/requests/{other['request_id']}")).status_code == 404
        assert (await client.get("/requests", params={"number": other["number"]})).json()["items"] == []
        assert (await client.get(f"/contacts/{dora}")).status_code == 404
        assert [each["contact_id"] for each in (await client.get("/contacts")).json()["items"]] == [str(carl)]
        assert (await client.get("/organisations")).status_code == 404
        theirs = (await ann.get("/requests", params={"contact_id": str(carl)})).json()["items"]
        every = (await ann.get("/requests", params={"every": True})).json()["items"]
    assert [each["request_id"] for each in theirs] == [mine["request_id"]]
    assert {each["request_id"] for each in every} == {mine["request_id"], other["request_id"]}


@pytest.mark.parametrize("share", [True, False])
async def test_S101_contacts_of_an_organisation_that_shares_see_each_others_requests(
    intake: Standing, share: bool
) -> None:
    acme = await organised(intake, share=share)
    carl, dora = await registered(intake, "carl", acme), await registered(intake, "dora", acme)
    await registered(intake, "eve")
    async with (
        intake.client("ann", STAFF) as ann,
        intake.client("carl", CONTACT) as client,
        intake.client("eve", CONTACT) as stranger,
    ):
        request = (await submitted(ann, dora))["request_id"]
        path = f"/organisations/{acme}/requests"
        listed, one = await client.get(path), await client.get(f"/requests/{request}")
        assert (listed.status_code, one.status_code) == ((200, 200) if share else (404, 404))
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.get(f"/requests/{request}")).status_code == 404
        assert [each["request_id"] for each in (await ann.get(path)).json()["items"]] == [request]
    assert carl != dora


async def test_a_priority_that_the_published_queue_does_not_have_is_refused(intake: Standing) -> None:
    carl = await registered(intake)
    stages = [("New", "new"), ("Work", "in-progress"), ("Closed", "closed")]
    await intake.know(
        workflow.QueueDefinition(
            queue="support", version=3, name="Support", completion_minutes={"p1": 60}, matrix={}, published_at=NOON,
            stages=tuple(workflow.StageDefinition(name=name, state=state) for name, state in stages),
        )
    )  # fmt: skip
    async with intake.client("ann", STAFF) as ann:
        body = {"contact_id": str(carl), "queue": "support", "summary": "Printer"}
        taken = await ann.post("/requests", json=body | {"priority": "p1"}, headers=key())
        refused = await ann.post("/requests", json=body | {"priority": "hi"}, headers=key())
    assert (taken.status_code, refused.status_code) == (201, 422)
    assert refused.json()["type"].endswith("#priority-not-known")


async def test_requests_come_in_pages_the_newest_first(intake: Standing) -> None:
    carl = await registered(intake)
    async with intake.client("ann", STAFF) as ann:
        numbers = [(await submitted(ann, carl))["number"] for _ in range(5)]
        seen: list[str] = []
        after: dict[str, str | int] = {}
        for _ in range(3):
            page = (await ann.get("/requests", params={"limit": 2, **after})).json()
            seen += [each["number"] for each in page["items"]]
            after = {"after": page["next"]} if page["next"] else {}
    assert after == {}
    assert sorted(seen) == sorted(numbers)


async def test_who_sees_the_request_reads_its_facts(intake: Standing) -> None:
    carl = await registered(intake, "carl")
    await registered(intake, "dora")
    async with intake.client("carl", CONTACT) as client, intake.client("dora", CONTACT) as other:
        request = (await submitted(client, carl))["request_id"]
        seen = await client.get("/facts", params={"subject": request})
        hidden = await other.get("/facts", params={"subject": request})
    assert (seen.status_code, hidden.status_code) == (200, 404)
    assert [fact["topic"] for fact in seen.json()["items"]] == ["intake.requests"]


async def test_a_request_under_a_contacts_id_shows_nothing_of_the_contact(intake: Standing) -> None:
    carl = await registered(intake, "carl")
    dora = await registered(intake, "dora")
    command = contract.Submit(contact_id=carl, queue="support", summary="Printer")
    assert (await intake.command(ERP, dora, command)).refused is None
    async with intake.client("carl", CONTACT) as client, intake.client("ann", STAFF) as ann:
        seen = await client.get("/facts", params={"subject": str(dora)})
        assert [fact["type"] for fact in seen.json()["items"]] == ["intake.request-submitted.v1"]
        for who in (client, ann):
            hidden = await who.get("/facts", params={"subject": str(dora), "topic": "intake.contacts"})
            assert hidden.status_code == 403


# -- what is heard ---------------------------------------------------------------------------------------------------


async def test_status_and_stage_follow_workflow(intake: Standing) -> None:
    carl = await registered(intake)
    async with intake.client("ann", STAFF) as ann:
        request = UUID((await submitted(ann, carl))["request_id"])
        await intake.hear(request, opened(carl), MOVED)
        shown = (await ann.get(f"/requests/{request}")).json()
        assert (shown["status"], shown["stage"], shown["edit_version"]) == ("in-progress", "Work", 0)
        closed = workflow.RequestClosed(
            outcome="resolved", close_no=1, from_stage="Work", closed_by=ActorRef(kind="person", id=ANN),
            charge_revision=0, elapsed_seconds=1, breached=False, closed_at=NOON, contact_id=carl, number="R-000001",
        )  # fmt: skip
        await intake.hear(request, closed)
        shown = (await ann.get(f"/requests/{request}")).json()
    assert (shown["status"], shown["outcome"]) == ("closed", "resolved")
    assert [kind for kind, _ in await intake.told(request)] == ["intake.request-submitted"]


async def test_who_submitted_sees_that_workflow_rejected_it_and_why(intake: Standing) -> None:
    carl = await registered(intake, "carl")
    async with intake.client("carl", CONTACT) as client:
        request = UUID((await submitted(client, carl))["request_id"])
        await intake.hear(request, workflow.RequestRejected(reason="queue-unknown", detail="no support@3 here"))
        shown = (await client.get(f"/requests/{request}")).json()
    assert (shown["status"], shown["outcome"]) == ("rejected", "queue-unknown")
    assert shown["detail"] == "no support@3 here"


async def test_a_fact_of_an_unknown_request_waits_for_it(intake: Standing) -> None:
    [outcome] = await intake.hear(uuid4(), opened(uuid4()))
    assert outcome.waiting


async def test_an_operator_lets_it_ask_for_everything_on_the_streams_it_hears_and_no_other(intake: Standing) -> None:
    async with intake.client("ann", "operate") as operator, intake.client("ann", STAFF) as ann:
        asked = await operator.post("/bootstrap", json={})
        unheard = await operator.post("/bootstrap", json={"streams": ["workflow.requests", "billing.accounts"]})
        unscoped = await ann.post("/bootstrap", json={})
    assert (asked.status_code, asked.json()) == (200, {"streams": ["workflow.requests"]})
    assert slug(unheard) == (422, "invalid")
    assert [error["pointer"] for error in unheard.json()["errors"]] == ["/streams/1"]
    assert slug(unscoped) == (403, "insufficient-scope")
    [told] = await intake.runtime.database.read("SELECT data::text FROM journal WHERE topic = 'workflow.asks'")
    wanted = {"asker": "intake", "stream": "workflow.requests", "subject": None, "after": 0}
    assert orjson.loads(told["data"]) == wanted
