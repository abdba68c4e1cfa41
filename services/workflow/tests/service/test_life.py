"""A request's life on a real database: from the submission heard to the close told."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest

from chassis.clock import utc_now
from chassis.decision import Actor, TimerDue
from chassis.history import facts_of, folded, history
from workflow import store
from workflow.deciders import REQUESTS
from workflow.domain import lifecycle, messages, queues
from workflow.domain.records import Definition, Gate, Policy, Stage, WaitReason

pytestmark = pytest.mark.servers

_ROOT = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9f13")
REQUEST, CONTACT, OLGA, MAT, TEAM = (uuid5(_ROOT, name) for name in ("request", "contact", "olga", "mat", "team"))
OWNER = Actor("person", OLGA)


def definition() -> Definition:
    return Definition(
        queue="support",
        version=0,
        name="Support",
        stages=(
            Stage("Triage", "in-progress", approval=Gate(Policy("any"), (MAT,))),
            Stage("Work", "in-progress"),
        ),
        completion_minutes={"medium": 240},
        matrix={},
        reasons=(WaitReason("customer", True, "customer"),),
        reopen_days=7,
    )


def submission(**fields: Any) -> messages.Open:
    now = utc_now()
    values: dict[str, Any] = {
        "number": "R-000001", "contact_id": CONTACT, "organisation_id": None, "queue": "support", "queue_version": 1,
        "summary": "Line is dead", "description": None, "impact": "medium", "urgency": "medium", "priority": None,
        "category": None, "occurred_at": now, "received_at": now, "channel": "agent", "submitted_by": OWNER,
        "owner_id": None, "team_id": None, "custom": None, "external_reference": None, "stage": None, "mode": "live",
    }  # fmt: skip
    return messages.Open(**(values | fields))


async def furnished(house: Any) -> None:
    """A team, two people and a published queue."""
    asks = (
        ("teams", TEAM, messages.RegisterTeam(TEAM, True, "Lines")),
        ("people", OLGA, messages.RegisterPerson(OLGA, True, "Olga", None, "olga", ("agent",), (), True)),
        ("people", MAT, messages.RegisterPerson(MAT, True, "Mat", None, "mat", ("agent",), (TEAM,), True)),
        ("queues", queues.subject_of("support"), messages.DraftQueue(definition())),
        ("queues", queues.subject_of("support"), messages.PublishQueue()),
    )
    for aggregate, subject, message in asks:
        outcome = await house.ask(aggregate, subject, message)
        assert outcome.refused is None, outcome.refused
        assert outcome.error is None


async def kept(house: Any) -> Any:
    """The request as it is stored, with its edit version and why it is blocked."""
    found = await store.one(house.database, REQUEST)
    assert found is not None
    return found


async def test_from_the_submission_heard_to_the_close_told(house: Any) -> None:
    await furnished(house)
    await house.hear("intake.requests", REQUEST, submission())
    await house.ask("requests", REQUEST, messages.Progress(None, OWNER))
    asked = await house.ask("requests", REQUEST, messages.Progress(None, OWNER))
    transition_id = UUID(orjson.loads(asked.answer)["transition_id"])
    waiting = (await kept(house))[0].transition
    settled = messages.ApprovalSettled(OLGA, transition_id, "granted", waiting.content_hash, waiting.visit_no)
    await house.hear("approvals.approvals", REQUEST, settled)
    await house.hear("billing.accounts", REQUEST, messages.ChargesChanged(1))
    await house.ask("requests", REQUEST, messages.Wait("customer", OWNER))
    await house.ask("requests", REQUEST, messages.PostMessage("It works now", Actor("contact", CONTACT)))
    await house.ask("requests", REQUEST, messages.AddNote("Cable was loose", OWNER))
    closed = await house.ask("requests", REQUEST, messages.Close("resolved", None, None, OWNER))
    answer = orjson.loads(closed.answer)
    assert (answer["stage"], answer["state"], answer["close_no"]) == ("Closed", "closed", 1)

    rows = await history(house.database, REQUEST)
    told = [row["type"].removeprefix("workflow.") for row in rows]
    assert told == [
        "request-opened", "stage-changed", "transition-requested", "stage-changed", "charges-seen", "wait-began",
        "message-posted", "wait-ended", "note-added", "stage-changed", "request-closed",
    ]  # fmt: skip
    assert [row["sequence"] for row in rows if row["topic"]] == list(range(1, 11))
    request, edit_version, blocked = await kept(house)
    assert folded(REQUESTS, facts_of(REQUESTS, rows)) == request
    assert (edit_version, blocked) == (6, None)
    [note] = await house.database.fetch(store.NOTES, request=REQUEST, after=0, limit=10)
    assert (note["text"], note["author_id"]) == ("Cable was loose", OLGA)


async def test_a_fact_heard_twice_changes_nothing(house: Any) -> None:
    await furnished(house)
    await house.hear("intake.requests", REQUEST, submission())
    outcome = await house.hear("intake.requests", REQUEST, submission(), again=True)
    assert outcome.duplicate
    assert len(await history(house.database, REQUEST)) == 1


async def test_a_submission_waits_for_a_version_of_its_queue_that_has_not_come_yet(house: Any) -> None:
    outcome = await house.hear("intake.requests", REQUEST, submission())
    assert outcome.waiting
    assert await store.one(house.database, REQUEST) is None


async def test_a_breach_comes_from_the_agenda_once(house: Any) -> None:
    await furnished(house)
    await house.hear("intake.requests", REQUEST, submission(received_at=utc_now() - timedelta(hours=3.9)))
    request, _, _ = await kept(house)
    [((kind, ref), due_at)] = lifecycle.agenda(request).items()
    early = await house.ask("requests", REQUEST, TimerDue(kind, ref, due_at))
    assert early.refused is None
    assert [row["type"] for row in await history(house.database, REQUEST)] == ["workflow.request-opened"]
    wake = await house.database.read("SELECT at FROM wake WHERE subject = $1", REQUEST)
    assert wake[0]["at"] == due_at


async def test_a_login_taken_by_somebody_else_is_refused_by_the_race_too(house: Any) -> None:
    await furnished(house)
    other = messages.RegisterPerson(TEAM, True, "Olga's twin", None, "olga", (), (), True)
    outcome = await house.ask("people", TEAM, other)
    assert outcome.refused.slug == "login-taken"


async def test_two_editors_with_the_same_version_do_not_overwrite_each_other(house: Any) -> None:
    await furnished(house)
    await house.hear("intake.requests", REQUEST, submission())
    _, version, _ = await kept(house)
    first = await house.ask("requests", REQUEST, messages.Edit({"category": "A"}, OWNER), expect=version)
    second = await house.ask("requests", REQUEST, messages.Edit({"category": "B"}, OWNER), expect=version)
    assert first.refused is None
    assert second.refused.slug == "stale-version"


async def _everything(house: Any) -> str:
    """Every row of every table, as text."""
    tables = await house.database.read(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace"
    )
    rows = [await house.database.read(f'SELECT t::text FROM "{table["relname"]}" t') for table in tables]
    return "\n".join(row[0] for found in rows for row in found)


async def test_an_erased_contact_leaves_the_request_and_its_figures(house: Any) -> None:
    marker = "Zinnia Quartermaine"
    await furnished(house)
    await house.hear("intake.requests", REQUEST, submission(summary=marker, description=f"It is {marker}"))
    await house.ask("requests", REQUEST, messages.PostMessage(f"Call {marker}", Actor("contact", CONTACT)))
    await house.ask("requests", REQUEST, messages.AddNote(f"{marker} called", OWNER))
    await house.ask("requests", REQUEST, messages.Close("unresolved", None, None, OWNER))
    before, _, _ = await kept(house)
    assert marker in await _everything(house)

    assert await house.erase(CONTACT) == [1, 0]

    assert marker not in await _everything(house)
    after, _, _ = await kept(house)
    assert (after.number, after.stage, after.clock) == (before.number, before.stage, before.clock)
    assert folded(REQUESTS, facts_of(REQUESTS, await history(house.database, REQUEST))) == after
