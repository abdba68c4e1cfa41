"""What callers were told is entered as they were told it: acts with their positions, reads with what they showed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest

from cli.demo.crm import Crm
from cli.demo.scenario import Step
from cli.door import Refused, Unanswered
from contracts import workflow
from contracts.registry import SERVICES
from testkit.chaos.evidence import heard_by
from testkit.chaos.laws.order import per_request_topic
from testkit.chaos.looking import DOORS, Looking, heard_at
from testkit.chaos.operations import (
    Operation,
    Operations,
    RecordingCrm,
    RecordingDoors,
    header_of,
    listed_in,
    position_of,
    shown_of,
)
from testkit.chaos.prying import _asked_for

REQUEST = UUID(int=7)
PATH = f"/requests/{REQUEST}"
NOTED = "workflow.requests", REQUEST, 5


class Door:
    """Answers everybody the same, and keeps the heads of what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, dict[str, Any](), dict[str, str]()
        self.heads: list[str] = []
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        body = orjson.dumps(self.body)
        head = {**self.headers, "content-length": str(len(body)), "connection": "close"}
        if self.status:
            lines = [f"HTTP/1.1 {self.status} So", *(f"{name}: {value}" for name, value in head.items()), "", ""]
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()
        writer.close()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    door.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield door
    server.close()


@pytest.fixture
async def doors(door: Door) -> AsyncIterator[RecordingDoors]:
    services = dict.fromkeys(SERVICES, door.address)
    doors = RecordingDoors(Operations(), services, lambda login: login, patience=0.0, connections=4)
    yield doors
    await doors.close()


def entered(doors: RecordingDoors) -> list[Operation]:
    return doors.operations.all


async def test_an_act_is_entered_with_its_position_and_what_it_says_and_is_the_last_one_of_its_request(
    door: Door, doors: RecordingDoors
) -> None:
    door.headers = {"etag": '"3"', "throughline-position": header_of(NOTED) or ""}
    door.body = {"state": "in-progress", "note_no": 2}
    await doors.post("ines.ferreira", "workflow", f"{PATH}/notes", {"text": "x"}, key="k1")
    [told] = entered(doors)
    assert (told.what, told.outcome, told.who, told.place) == ("note", "ok", "ines.ferreira", "workflow")
    assert told.position == NOTED
    assert told.shown == {"version": 3, "notes": 2, "closed": 0}
    assert told.began < told.ended
    assert doors.operations.last == {REQUEST: told}


async def test_a_read_waits_for_the_position_of_the_last_act_and_is_entered_with_what_it_shows(
    door: Door, doors: RecordingDoors
) -> None:
    act = Operation("note", "k", "http", "ok", 0.1, REQUEST, position=NOTED, place="workflow")
    doors.operations.add(act)
    door.headers, door.body = {"etag": '"4"'}, {"status": "closed"}
    nobody: Any = None
    player = Looking(doors, nobody, "run", lambda: None)
    await player._read(REQUEST, "key", Step("read", "ines.ferreira", {"service": "intake"}))
    read = entered(doors)[-1]
    assert (read.what, read.outcome, read.place, read.awaited) == ("read", "ok", "intake", NOTED)
    assert read.shown == {"version": 4, "closed": 1}
    assert f"get /intake/v1{PATH} " in door.heads[0]
    assert f"throughline-position: workflow.requests/{REQUEST}@5\r\n" in door.heads[0]
    assert doors.operations.last == {REQUEST: act}


async def test_who_was_told_no_position_reads_where_the_act_was_taken(door: Door, doors: RecordingDoors) -> None:
    doors.operations.add(Operation("charge", "k", "topic", "ok", 0.1, REQUEST, place="billing"))
    nobody: Any = None
    player = Looking(doors, nobody, "run", lambda: None)
    await player._read(REQUEST, "key", Step("read", "ines.ferreira", {"service": "workflow"}))
    assert f"get /billing/v1{PATH}/charges " in door.heads[0]
    assert "throughline-position" not in door.heads[0]


async def test_a_list_of_fifty_is_entered_with_the_requests_that_it_shows(door: Door, doors: RecordingDoors) -> None:
    door.body = {"items": [{"id": str(REQUEST), "contact_id": str(UUID(int=1))}]}
    nobody: Any = None
    player = Looking(doors, nobody, "run", lambda: None)
    await player._list(REQUEST, "key", Step("list", "anna.keller", {"service": "workflow", "query": {}}))
    [listing] = entered(doors)
    assert (listing.what, listing.who, listing.subject, listing.listed) == ("list", "anna.keller", None, (REQUEST,))
    assert "get /workflow/v1/requests?limit=50 " in door.heads[0]
    assert doors.operations.about({UUID(int=8)}, {"": {REQUEST}}).all == [listing]


@pytest.mark.parametrize(
    ("status", "outcome", "error"),
    [(404, "refused", Refused), (503, "unknown", Unanswered), (0, "unknown", Unanswered)],
)
async def test_a_read_that_is_refused_or_not_answered_is_entered_as_that(
    door: Door, doors: RecordingDoors, status: int, outcome: str, error: type[Exception]
) -> None:
    door.status = status
    with pytest.raises(error):
        await doors.get_at(NOTED, "ines.ferreira", "workflow", PATH)
    [told] = entered(doors)
    assert (told.what, told.outcome, told.shown) == ("read", outcome, {})
    assert told.status == (status if outcome == "refused" else 0)


def test_a_read_waits_for_what_is_heard_where_it_asks_and_for_nothing_else() -> None:
    charged = Operation("charge", "k", "http", "ok", 0.1, REQUEST, position=NOTED, place="billing")
    waits = {service for service in SERVICES if heard_at(service, charged) == NOTED}
    assert waits == {"billing", "workflow"}
    assert heard_at("workflow", None) is None
    for service in DOORS:
        told = Operation("x", "k", "http", "ok", 0.1, REQUEST, position=NOTED, place=service)
        hearing = {name for name in DOORS if per_request_topic(service) in heard_by(name)} | {service}
        assert {name for name in DOORS if heard_at(name, told)} <= hearing


async def test_what_others_are_shown_is_told_and_what_owners_and_staff_are_shown_is_entered(
    door: Door, doors: RecordingDoors
) -> None:
    doors.operations.add(Operation("note", "k", "http", "ok", 0.1, REQUEST, position=NOTED, place="workflow"))
    door.body = {"items": []}
    assert await _asked_for(doors, doors, REQUEST, "anna.keller", "bilal.lopes") == []
    reads = [(each.who, each.place) for each in entered(doors) if each.awaited == NOTED]
    assert len(reads) == 4
    assert reads[:2] == [("anna.keller", "intake"), ("anna.keller", "workflow")]
    assert {place for _, place in reads[2:]} == {"workflow", "billing"}
    door.body = {"items": [1]}
    assert all("shown to bilal.lopes" in text for text in await _asked_for(doors, doors, REQUEST, None, "bilal.lopes"))
    door.status = 404
    hidden = await _asked_for(doors, doors, REQUEST, "anna.keller", "bilal.lopes")
    assert [text.split(" is ")[1].split(",")[0] for text in hidden[:2]] == ["hidden from anna.keller"] * 2
    assert len(hidden) == 4


async def test_a_command_on_a_topic_is_entered_with_who_took_it_and_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answered(*_: Any) -> dict[str, Any]:
        return {"state": "closed"}

    monkeypatch.setattr(Crm, "command", answered)
    operations = Operations()
    await RecordingCrm(operations, "nowhere:9", "").command(workflow.Close, REQUEST, {"outcome": "resolved"}, "k")
    [told] = operations.all
    assert (told.what, told.via, told.place, told.shown) == ("close", "topic", "workflow", {"closed": 1})


@pytest.mark.parametrize(
    ("etag", "body", "shown"),
    [
        ('"12"', None, {"version": 12}),
        (None, {"state": "new", "charge_revision": 2, "note_no": 3}, {"closed": 0, "charges": 2, "notes": 3}),
        (None, {"state": "in-progress", "charge_revision": None, "note_no": None}, {"closed": 0}),
        (None, {"revision": 2, "closed": True}, {"charges": 2, "closed": 1}),
        (None, {"revision": 2, "closed": False}, {"charges": 2, "closed": 0}),
        (None, {"revision": 2, "lines": 1}, {"charges": 2}),
        (None, [], {}),
    ],
)
def test_of_an_answer_is_kept_what_only_grows_and_whether_it_is_closed(etag: Any, body: Any, shown: Any) -> None:
    assert shown_of(etag, body) == shown


def test_a_position_is_said_as_it_is_read_and_lists_name_requests_in_either_way() -> None:
    assert position_of(header_of(NOTED)) == NOTED
    assert header_of(None) is None
    one, other = UUID(int=1), UUID(int=2)
    assert listed_in({"items": [{"id": str(one)}, {"request_id": str(other), "id": "x"}]}) == (one, other)
