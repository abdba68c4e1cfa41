"""The service through its HTTP door: set up, worked with, and seen by those who may."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
import pytest_asyncio

from chassis.clock import utc_now
from chassis.decision import Actor
from contracts import intake
from workflow.domain import messages

pytestmark = pytest.mark.servers

_ROOT = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9f14")
REQUEST, CARLA, CARL, ORGANISATION = (uuid5(_ROOT, name) for name in ("request", "carla", "carl", "organisation"))
QUEUE: dict[str, Any] = {
    "queue": "support",
    "name": "Support",
    "stages": [
        {"name": "New", "state": "new"},
        {"name": "Triage", "state": "in-progress"},
        {"name": "Details", "state": "in-progress", "assignee": "client"},
        {"name": "Closed", "state": "closed"},
    ],
    "completion_minutes": {"medium": 240},
    "matrix": {},
    "reasons": [{"name": "customer", "pauses": True, "waiting_for": "customer"}],
    "reopen_days": 7,
}


def submission(**fields: Any) -> messages.Open:
    now = utc_now()
    values: dict[str, Any] = {
        "number": "R-000001", "contact_id": CARLA, "organisation_id": ORGANISATION, "queue": "support",
        "queue_version": 1, "summary": "Line is dead", "description": "All day", "impact": "medium",
        "urgency": "medium", "priority": None, "category": None, "occurred_at": now, "received_at": now,
        "channel": "portal", "submitted_by": Actor("contact", CARLA), "owner_id": None, "team_id": None,
        "custom": {"serial": "A1"}, "external_reference": None, "stage": None, "mode": "live",
    }  # fmt: skip
    return messages.Open(**(values | fields))


class Desk:
    """A set-up organisation: Boss (Owner role), Olga (owns), Mat (in the team), Stan (neither), Carla and Carl."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.ids: dict[str, UUID] = {}

    async def furnish(self) -> None:
        """Everything but the first boss through the door."""
        boss = messages.RegisterPerson(uuid5(_ROOT, "boss"), True, "Boss", None, "boss", ("owner",), (), True)
        await self.house.ask("people", boss.person_id, boss)
        team = await self.ok("POST", "/teams", {"name": "Lines"}, status=201)
        self.ids["team"] = UUID(team["team_id"])
        for login, teams in (("olga", []), ("mat", [team["team_id"]]), ("stan", [])):
            body = {"name": login.title(), "login": login, "roles": ["agent"], "teams": teams}
            self.ids[login] = UUID((await self.ok("POST", "/people", body, status=201))["person_id"])
        for login, contact_id in (("carla", CARLA), ("carl", CARL)):
            await self.contact(login, contact_id)
        await self.ok("PUT", "/queues/support/draft", QUEUE)
        assert (await self.ok("POST", "/queues/support/publish"))["version"] == 1

    async def contact(self, login: str, contact_id: UUID, shares: bool = False) -> None:
        """Let the service know a contact, and the organisation that it belongs to."""
        await self.house.know(
            intake.Contact(contact_id=contact_id, organisation_id=ORGANISATION, login=login, version=1),
            intake.Organisation(organisation_id=ORGANISATION, name="Acme", share_requests=shares, version=1),
        )

    async def ok(
        self, method: str, path: str, body: Any = None, *, by: str = "boss", status: int = 200, version: int = 0
    ) -> dict[str, Any]:
        """A write that is taken; `version` is what was read before."""
        headers = {"if-match": f'"{version}"'} if version else {}
        answer = await self.house.send(by, method, path, body, **headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def no(
        self, method: str, path: str, body: Any = None, *, by: str = "boss", **headers: str
    ) -> tuple[int, str]:
        """(status, slug) of a write that is refused."""
        answer = await self.house.send(by, method, path, body)
        return answer.status_code, answer.json()["type"].split("#")[1]

    async def open(self, request_id: UUID = REQUEST, **fields: Any) -> None:
        """A request arrives from intake."""
        values = {"owner_id": self.ids["olga"], "team_id": self.ids["team"], **fields}
        outcome = await self.house.hear("intake.requests", request_id, submission(**values))
        assert outcome.refused is None

    async def view(self, by: str, request_id: UUID = REQUEST) -> dict[str, Any]:
        """A request as somebody sees it."""
        answer = await self.house.get(by, f"/requests/{request_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert answer.headers["etag"] == f'"{found["edit_version"]}"'
        return found


@pytest_asyncio.fixture
async def desk(house: Any) -> Desk:
    found = Desk(house)
    await found.furnish()
    return found


async def test_a_request_is_worked_on_from_new_to_closed(desk: Desk) -> None:
    await desk.open()
    path = f"/requests/{REQUEST}"
    assert (await desk.ok("POST", f"{path}/progress", by="olga"))["stage"] == "Triage"
    await desk.ok("POST", f"{path}/wait", {"reason": "customer"}, by="olga")
    paused = (await desk.view("olga"))["clock"]
    assert (paused["paused"], paused["due_at"]) == (True, None)
    await desk.ok("POST", f"{path}/messages", {"text": "It blinks"}, by="carla")
    await desk.ok("POST", f"{path}/progress", by="olga")
    closed = await desk.ok("POST", f"{path}/close", {"outcome": "resolved"}, by="olga")
    assert (closed["state"], closed["close_no"]) == ("closed", 1)
    seen = await desk.view("olga")
    assert (seen["clock"]["phase"], seen["closing"]["outcome"]) == ("met", "resolved")
    assert [stage["visits"] for stage in seen["stages"]] == [1, 1, 1, 1]


async def test_the_view_shows_the_clock_and_what_may_be_done(desk: Desk) -> None:
    await desk.open(received_at=utc_now() - timedelta(hours=5))
    seen = await desk.view("olga")
    clock = seen["clock"]
    assert (clock["target_seconds"], clock["breached"]) == (4 * 3600, True)
    assert 5 * 3600 <= clock["elapsed_seconds"] < 5 * 3600 + 60
    assert clock["elapsed_seconds"] + clock["remaining_seconds"] == pytest.approx(4 * 3600, abs=1)
    assert seen["actions"]["progress"] is None
    assert seen["actions"]["resume"] == "not-waiting"
    assert seen["custom"] == {"serial": "A1"}


async def test_S35_who_has_nothing_to_do_with_a_request_does_not_find_it(desk: Desk) -> None:
    await desk.open()
    for who, status in (("olga", 200), ("mat", 200), ("boss", 200), ("carla", 200), ("stan", 404), ("carl", 404)):
        for path in ("", "/history", "/messages"):
            answer = await desk.house.get(who, f"/requests/{REQUEST}{path}")
            assert answer.status_code == status, (who, path)
    assert (await desk.house.get("olga", f"/requests/{CARLA}")).status_code == 404
    for who in ("stan", "carl"):
        refused = await desk.no("POST", f"/requests/{REQUEST}/messages", {"text": "mine?"}, by=who)
        assert refused == (404, "no-such-request")
        assert refused == await desk.no("POST", f"/requests/{CARLA}/messages", {"text": "mine?"}, by=who)


async def test_S101_contacts_of_an_organisation_that_shares_see_each_others_requests(desk: Desk) -> None:
    await desk.open()
    await desk.contact("carl", CARL, shares=True)
    assert (await desk.view("carl"))["number"] == "R-000001"
    listed = (await desk.house.get("carl", "/requests")).json()["items"]
    assert [row["id"] for row in listed] == [str(REQUEST)]
    assert await desk.no("POST", f"/requests/{REQUEST}/messages", {"text": "me too"}, by="carl") == (403, "not-yours")


async def test_S45_notes_are_for_the_staff(desk: Desk) -> None:
    await desk.open()
    made = await desk.ok("POST", f"/requests/{REQUEST}/notes", {"text": "Cable?"}, by="mat")
    [note] = (await desk.house.get("olga", f"/requests/{REQUEST}/notes")).json()["items"]
    assert (note["note_id"], note["text"], note["author_id"]) == (made["note_id"], "Cable?", str(desk.ids["mat"]))
    assert (await desk.house.get("carla", f"/requests/{REQUEST}/notes")).status_code == 404
    history = (await desk.house.get("carla", f"/requests/{REQUEST}/history")).json()["items"]
    assert [entry["type"] for entry in history] == ["workflow.request-opened"]
    assert (await desk.view("carla"))["note_no"] is None


async def test_S67_the_history_says_what_happened_by_whom(desk: Desk) -> None:
    await desk.open()
    await desk.ok("POST", f"/requests/{REQUEST}/progress", by="olga")
    version = (await desk.view("olga"))["edit_version"]
    back = {"reason": "wrong line"}
    await desk.ok("POST", f"/requests/{REQUEST}/regress", back, by="olga", version=version)
    _, _, entry = (await desk.house.get("mat", f"/requests/{REQUEST}/history")).json()["items"]
    assert (entry["type"], entry["data"]["direction"]) == ("workflow.stage-changed", "regress")
    assert (entry["data"]["reason"], entry["actor"]["id"]) == ("wrong line", str(desk.ids["olga"]))


async def test_a_contact_reads_the_events_of_its_request_but_not_what_staff_wrote_about_them(desk: Desk) -> None:
    await desk.open()
    path = f"/requests/{REQUEST}"
    await desk.ok("POST", f"{path}/progress", by="olga")
    version = (await desk.view("olga"))["edit_version"]
    await desk.ok("POST", f"{path}/regress", {"reason": "he is confused"}, by="olga", version=version)
    await desk.ok("POST", f"{path}/close", {"outcome": "cancelled", "reason": "found the plug"}, by="carla")
    await desk.ok("POST", f"{path}/reopen", {"reason": "not again"}, by="olga")
    shown = (await desk.house.get("carla", f"{path}/history")).json()["items"]
    told = [(entry["type"].split(".")[1], entry["data"].get("reason")) for entry in shown]
    assert told == [
        ("request-opened", None),
        ("stage-changed", None),
        ("stage-changed", None),
        ("stage-changed", "found the plug"),
        ("request-closed", None),
        ("request-reopened", None),
        ("stage-changed", None),
    ]
    whole = (await desk.house.get("mat", f"{path}/history")).json()["items"]
    assert {"he is confused", "found the plug", "not again"} <= {entry["data"].get("reason") for entry in whole}


async def test_a_request_under_the_id_of_something_else_shows_nothing_of_it(desk: Desk) -> None:
    await desk.open(desk.ids["olga"])
    for who in ("mat", "boss"):
        history = (await desk.house.get(who, f"/requests/{desk.ids['olga']}/history")).json()["items"]
        assert [entry["type"] for entry in history] == ["workflow.request-opened"]
        refused = await desk.house.get(who, "/facts", subject=desk.ids["olga"], topic="workflow.people")
        assert refused.status_code == 403
    told = (await desk.house.get("mat", "/facts", subject=desk.ids["olga"])).json()["items"]
    assert [(fact["topic"], fact["type"]) for fact in told] == [("workflow.requests", "workflow.request-opened.v1")]


async def test_S107_the_work_list_ranks_by_due_time_and_pages(desk: Desk) -> None:
    ids = [uuid5(_ROOT, f"ranked {n}") for n in range(5)]
    for n, request_id in enumerate(ids):
        received_at = utc_now() - timedelta(minutes=10 * n)
        await desk.open(request_id, number=f"R-{n}", received_at=received_at)
    await desk.ok("POST", f"/requests/{ids[4]}/wait", {"reason": "customer"}, by="olga")
    found: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = (await desk.house.get("mat", "/requests", limit=2, **after)).json()
        found += [row["number"] for row in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == ["R-3", "R-2", "R-1", "R-0", "R-4"]
    assert (await desk.house.get("stan", "/requests")).json()["items"] == []


async def test_closed_requests_are_listed_apart_the_last_closed_first(desk: Desk) -> None:
    ids = [uuid5(_ROOT, f"closed {n}") for n in range(3)]
    for n, request_id in enumerate(ids):
        await desk.open(request_id, number=f"R-{n}")
        await desk.ok("POST", f"/requests/{request_id}/close", {"outcome": "unresolved"}, by="olga")
    assert (await desk.house.get("olga", "/requests")).json()["items"] == []
    first = (await desk.house.get("olga", "/requests", closed=True, limit=2)).json()
    rest = (await desk.house.get("olga", "/requests", closed=True, limit=2, after=first["next"])).json()
    assert [row["number"] for row in first["items"] + rest["items"]] == ["R-2", "R-1", "R-0"]


async def test_lists_agree_with_single_requests_about_who_sees_what(desk: Desk) -> None:
    owners = {
        "olga's": {"team_id": None},
        "team's": {"owner_id": None},
        "nobody's": {"owner_id": None, "team_id": None},
    }
    ids = {name: uuid5(_ROOT, name) for name in owners}
    for name, fields in owners.items():
        await desk.open(ids[name], number=name, submitted_by=Actor("client"), **fields)
    for who in ("olga", "mat", "boss", "stan", "carla", "carl"):
        listed = {row["number"] for row in (await desk.house.get(who, "/requests")).json()["items"]}
        single = {
            name for name, found in ids.items() if (await desk.house.get(who, f"/requests/{found}")).status_code == 200
        }
        assert listed == single, who


async def test_S7_the_contact_is_told_when_it_is_their_turn(desk: Desk) -> None:
    await desk.open(stage="Triage")
    assert not (await desk.view("carla"))["your_action_is_required"]
    await desk.ok("POST", f"/requests/{REQUEST}/progress", by="olga")
    assert (await desk.view("carla"))["your_action_is_required"]
    assert not (await desk.view("olga"))["your_action_is_required"]


async def test_an_edit_needs_the_version_that_was_read(desk: Desk) -> None:
    await desk.open()
    path, body = f"/requests/{REQUEST}", {"summary": "Two lines"}
    version = (await desk.view("olga"))["edit_version"]
    assert (await desk.no("PATCH", path, body, by="olga"))[0] == 428
    await desk.ok("PATCH", path, body, by="olga", version=version)
    again = await desk.house.send("olga", "PATCH", path, body, **{"if-match": f'"{version}"'})
    assert again.status_code == 412
    assert (await desk.view("olga"))["summary"] == "Two lines"


async def test_S34_refusals_have_names(desk: Desk) -> None:
    await desk.open()
    path = f"/requests/{REQUEST}"
    assert await desk.no("POST", f"{path}/progress", by="mat") == (403, "not-yours")
    assert await desk.no("POST", f"{path}/close", {"outcome": "resolved"}, by="olga") == (409, "too-early-to-resolve")
    assert await desk.no("POST", f"/requests/{CARL}/progress") == (404, "no-such-request")
    assert await desk.no("POST", f"{path}/wait", {"reason": "lunch"}, by="olga") == (422, "no-such-reason")


async def test_S106_somebody_else_takes_over(desk: Desk) -> None:
    await desk.open()
    await desk.ok("POST", f"/requests/{REQUEST}/take-over", by="mat")
    version = (await desk.view("mat"))["edit_version"]
    body = {"owner_id": str(desk.ids["stan"]), "team_id": None}
    done = await desk.ok("POST", f"/requests/{REQUEST}/assign", body, by="mat", version=version)
    assert (done["owner_id"], done["team_id"]) == (str(desk.ids["stan"]), None)
    assert (await desk.house.get("mat", f"/requests/{REQUEST}")).status_code == 404
    assert (await desk.view("stan"))["owner_id"] == str(desk.ids["stan"])


async def test_queues_are_read_as_published_and_as_drafted(desk: Desk) -> None:
    await desk.ok("PUT", "/queues/support/draft", {**QUEUE, "name": "Helpdesk"})
    queue = (await desk.house.get("olga", "/queues/support")).json()
    assert (queue["version"], queue["published"]["name"], queue["draft"]["name"]) == (1, "Support", "Helpdesk")
    assert [each["queue"] for each in (await desk.house.get("olga", "/queues")).json()["items"]] == ["support"]
    version = (await desk.house.get("olga", "/queues/support/versions/1")).json()
    assert version["matrix"]["medium"]["medium"] == "medium"
    assert (await desk.house.get("olga", "/queues/support/versions/2")).status_code == 404
    wrong = {**QUEUE, "stages": QUEUE["stages"][::-1]}
    assert (await desk.no("PUT", "/queues/support/draft", wrong))[0] == 422


async def test_staff_and_teams_are_listed_for_the_staff(desk: Desk) -> None:
    people = (await desk.house.get("olga", "/people")).json()["items"]
    assert {each["login"] for each in people} == {"boss", "olga", "mat", "stan"}
    one = (await desk.house.get("olga", f"/people/{desk.ids['mat']}")).json()
    assert one["teams"] == [str(desk.ids["team"])]
    assert (await desk.house.get("olga", f"/teams/{desk.ids['team']}")).json()["name"] == "Lines"
    assert len((await desk.house.get("olga", "/teams")).json()["items"]) == 1
    for path in ("/people", "/teams", f"/people/{desk.ids['mat']}"):
        assert (await desk.house.get("carla", path)).status_code == 404


async def test_somebody_switched_off_changes_nothing_any_more(desk: Desk) -> None:
    await desk.open()
    off = {"active": False}
    await desk.ok("PATCH", f"/people/{desk.ids['olga']}", off, version=1)
    status, slug = await desk.no("POST", f"/requests/{REQUEST}/progress", by="olga")
    assert (status, slug) in {(403, "not-yours"), (403, "unknown-caller")}
