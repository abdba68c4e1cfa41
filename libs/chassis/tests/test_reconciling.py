"""A service's books over HTTP, and the verbs that mend what they show: for operators alone, page by page, bounded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
import pytest_asyncio

from chassis import books
from chassis.agenda import Agenda
from chassis.books import COUNTED, LETTERS
from chassis.clients import Client, save
from chassis.decision import SYSTEM
from chassis.hearing import Ear, Meta, Stream
from chassis.partition import partition_of
from chassis.reconciling import ROWS
from chassis.stream import Worker
from chassis.timers import revive_of
from contracts import workflow
from testkit.scraping import measured
from testkit.standing import Record, Standing, standing
from testkit.streams import body, headers
from testkit.toy import NAMESPACE, PARTITIONS, TILLS, Add, asked
from testkit.toyhearing import BILLING
from testkit.toyservice import ToySettings

pytestmark = pytest.mark.servers

TICK = timedelta(microseconds=1)
GETS = ("", "/facts?partition=0", f"/requests/{UUID(int=7)}")


@pytest_asyncio.fixture
async def billing(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Standing]:
    """The toy that hears of `workflow.requests`."""
    async with standing(BILLING, ToySettings, fresh_database, tmp_path, partitions=PARTITIONS) as found:
        async with found.runtime.database.begin() as connection:
            for name, scope in (("operator", "operate"), ("clerk", "tills:write")):
                await save(connection, Client(name, frozenset({scope})))
        yield found


@asynccontextmanager
async def door(billing: Standing, who: str = "operator") -> AsyncIterator[Any]:
    async with billing.client(who, "operate tills:write") as client:
        yield client


async def get(billing: Standing, path: str, **query: Any) -> Any:
    async with door(billing) as client:
        return await client.get(f"/reconciliation{path}", params=query)


async def post(billing: Standing, path: str, body: Any = None) -> Any:
    async with door(billing) as client:
        return await client.post(path, json=body)


def slug(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].partition("#")[2]


def note(number: int) -> workflow.NoteAdded:
    return workflow.NoteAdded(note_id=uuid5(NAMESPACE, str(number)), note_no=number)


async def add(billing: Standing, till: UUID, times: int = 1) -> None:
    for _ in range(times):
        await billing.decider("tills").handle(asked(till, Add(1)))


async def walk(billing: Standing, partition: int, **query: Any) -> list[dict[str, Any]]:
    """All pages of one partition; none has more than its limit."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = (await get(billing, "/facts", partition=partition, **query, **after)).json()
        assert len(page["items"]) <= query.get("limit", ROWS)
        found += page["items"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def of(till: UUID) -> int:
    return partition_of(str(till).encode(), PARTITIONS)


# --- who may


@pytest.mark.parametrize("path", GETS)
async def test_the_books_are_for_operators_alone(billing: Standing, path: str) -> None:
    async with door(billing, "clerk") as clerk, door(billing) as operator:
        assert slug(await clerk.get(f"/reconciliation{path}")) == (403, "insufficient-scope")
        assert (await operator.get(f"/reconciliation{path}")).status_code == 200


@pytest.mark.parametrize("path", [f"/resend/{UUID(int=7)}", "/dead-letters/1/redeliver"])
async def test_the_verbs_are_for_operators_alone(billing: Standing, path: str) -> None:
    async with door(billing, "clerk") as clerk:
        assert slug(await clerk.post(path, json={"reason": "x"})) == (403, "insufficient-scope")


# --- what was told


async def test_the_pages_of_all_partitions_are_everything_that_was_told_in_order(billing: Standing) -> None:
    tills = {uuid4(): times for times in (1, 2, 5)}
    for till, times in tills.items():
        await add(billing, till, times)
    for limit in (1, 2, ROWS):
        found: dict[UUID, list[int]] = {}
        for partition in range(PARTITIONS):
            for item in await walk(billing, partition, limit=limit):
                assert of(UUID(item["subject"])) == partition
                found.setdefault(UUID(item["subject"]), []).append(item["sequence"])
        assert found == {till: list(range(1, times + 1)) for till, times in tills.items()}


async def test_rows_that_are_not_of_the_stream_lead_on_without_being_shown(billing: Standing) -> None:
    till = uuid4()
    await add(billing, till)
    await post(billing, f"/resend/{till}")
    await add(billing, till)
    pages = [(await get(billing, "/facts", partition=of(till), limit=2)).json()]
    pages.append((await get(billing, "/facts", partition=of(till), limit=2, after=pages[0]["next"])).json())
    assert [[item["sequence"] for item in page["items"]] for page in pages] == [[1], [2]]


async def test_since_is_exact_to_the_microsecond(billing: Standing) -> None:
    till = uuid4()
    await add(billing, till, 9)
    rows = await billing.runtime.database.read("SELECT sequence, recorded_at FROM journal ORDER BY seq")
    for row in rows:
        exactly = await walk(billing, of(till), since=row["recorded_at"].isoformat())
        assert [item["sequence"] for item in exactly] == list(range(row["sequence"], 10))
        after = await walk(billing, of(till), since=(row["recorded_at"] + TICK).isoformat(), limit=2)
        assert [item["sequence"] for item in after] == list(range(row["sequence"] + 1, 10))


async def test_what_the_relay_has_not_sent_is_said(billing: Standing) -> None:
    till = uuid4()
    await add(billing, till, 4)
    sent = "INSERT INTO relay_cursor (grp, high, holes) SELECT $1, max(seq) - 1, ARRAY[max(seq) - 2] FROM journal"
    assert [item["sent"] for item in await walk(billing, of(till))] == [False] * 4
    await billing.runtime.database.execute(sent, of(till))
    assert [item["sent"] for item in await walk(billing, of(till))] == [True, False, True, False]


async def test_one_request_is_read_by_its_id(billing: Standing) -> None:
    till, other = uuid4(), uuid4()
    for subject in (till, other, till):
        await add(billing, subject)
    found = (await get(billing, "/facts", request=till)).json()
    assert [(item["subject"], item["sequence"]) for item in found["items"]] == [(str(till), 1), (str(till), 2)]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, (422, "invalid")),
        ({"partition": 0, "request": str(uuid4())}, (422, "invalid")),
        ({"partition": -1}, (422, "invalid")),
        ({"partition": PARTITIONS}, (422, "invalid")),
        ({"partition": 0, "limit": 0}, (422, "invalid")),
        ({"partition": 0, "limit": ROWS + 1}, (422, "invalid")),
        ({"partition": 0, "since": "2026-06-05T12:00:00"}, (422, "invalid")),
        ({"partition": 0, "since": "yesterday"}, (422, "invalid")),
        ({"request": "R-000001"}, (422, "invalid")),
        ({"partition": 0, "after": "?"}, (400, "bad-cursor")),
        ({"partition": 0, "after": "WyJhIl0"}, (400, "bad-cursor")),
    ],
)
async def test_what_cannot_be_asked_is_a_problem(billing: Standing, query: Any, wanted: Any) -> None:
    assert slug(await get(billing, "/facts", **query)) == wanted


async def test_the_bounds_themselves_can_be_asked(billing: Standing) -> None:
    for query in ({"partition": PARTITIONS - 1, "limit": ROWS}, {"partition": 0, "limit": 1}):
        assert (await get(billing, "/facts", **query)).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (books._OF_PARTITION, (0, 0, ROWS, [])),
        (books._OF_SUBJECT, (uuid4(), 0, ROWS, [])),
        (books._FIRST_FROM, (0, 1)),
        (books._LAST, (0,)),
    ],
)
async def test_a_page_is_led_by_an_index_and_sorts_nothing(billing: Standing, statement: str, arguments: Any) -> None:
    rows = await billing.runtime.database.read(f"EXPLAIN {statement}", *arguments)
    plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan, plan
    for costly in ("Seq Scan on journal", "Sort  (", "Bitmap"):
        assert costly not in plan, plan


# --- where it stands


async def test_a_service_says_what_is_still_on_its_way(billing: Standing) -> None:
    quiet = (await get(billing, "")).json()
    assert (quiet["service"], quiet["partitions"], quiet["tells"]) == ("billing", PARTITIONS, "toy.tills")
    assert quiet["hears"] == ["workflow.requests"]
    assert (quiet["unsent_since"], quiet["due_since"], quiet["waiting"], quiet["dead_letters"]) == (None, None, 0, 0)
    till = uuid4()
    await billing.hear(till, note(1), note(13))
    loud = (await get(billing, "")).json()
    assert loud["unsent_since"] is not None
    assert (loud["waiting"], loud["waiting_since"] is not None) == (1, True)


async def test_what_waits_is_counted_up_to_a_bound(billing: Standing) -> None:
    await billing.runtime.database.execute(
        "INSERT INTO dead_letters (reason, detail) SELECT 'not-json', '' FROM generate_series(1, $1)", COUNTED + 5
    )
    assert (await get(billing, "")).json()["dead_letters"] == COUNTED


async def test_a_request_has_an_account_of_how_far_it_came(billing: Standing) -> None:
    till = uuid4()
    nothing = (await get(billing, f"/requests/{till}")).json()
    assert (nothing["known"], nothing["heard"], nothing["waiting"]) == (False, {}, [])
    await billing.hear(till, note(2), note(13), note(3))
    found = (await get(billing, f"/requests/{till}")).json()
    assert (found["known"], found["sequence"], found["heard"]) == (True, 1, {"workflow.requests": 1})
    waits = [(each["kind"], each["reason"], each["sequence"]) for each in found["waiting"]]
    assert waits == [("stream", "error", 2), ("stream", "behind", 3)]


async def test_what_clients_commanded_hides_no_fact_that_waits(billing: Standing) -> None:
    till = uuid4()
    await billing.runtime.database.execute(
        "INSERT INTO waiting (aggregate, subject, event_id, kind, envelope, reason, first_at) "
        "SELECT 'tills', $1, gen_random_uuid(), 'command', '{}', 'error', now() FROM generate_series(1, $2)",
        till,
        LETTERS,
    )
    await billing.hear(till, note(1), note(13))
    found = (await get(billing, f"/requests/{till}")).json()["waiting"]
    assert [each["kind"] for each in found] == ["stream", *["command"] * (LETTERS - 1)]


# --- what mends


async def test_what_is_missing_is_asked_for_once_in_a_while(billing: Standing) -> None:
    till = uuid4()
    await billing.hear(till, note(1), note(2))
    assert (await post(billing, f"/resend/{till}")).json() == {"streams": {"workflow.requests": 2}}
    assert (await post(billing, f"/resend/{till}")).json() == {"streams": {}}
    assert (await post(billing, f"/resend/{uuid4()}")).json() == {"streams": {"workflow.requests": 0}}
    rows = await billing.runtime.database.read("SELECT data::text FROM journal WHERE topic = 'workflow.asks'")
    assert len(rows) == 2


async def swept(billing: Standing) -> None:
    runtime = billing.runtime
    await Agenda(runtime.database, runtime.deciders, revive_of(runtime)).sweep()


async def skipped(billing: Standing, till: UUID) -> dict[str, Any]:
    """A note that the database refused, that an operator skipped, and that could be kept by now."""
    database = billing.runtime.database
    await database.execute("ALTER TABLE tills ADD CONSTRAINT no_six CHECK (total <> 6)")
    await billing.hear(till, note(1), note(5))
    await database.execute("ALTER TABLE tills DROP CONSTRAINT no_six")
    (waits,) = (await get(billing, f"/requests/{till}")).json()["waiting"]
    await post(billing, f"/waiting/{waits['id']}/skip", {"reason": "by mistake"})
    await billing.hear(till, note(2))
    found: dict[str, Any] = (await get(billing, f"/requests/{till}")).json()
    return found


async def total(billing: Standing, till: UUID) -> int:
    rows = await billing.runtime.database.read("SELECT total FROM tills WHERE id = $1", till)
    return int(rows[0]["total"])


async def test_a_dead_letter_is_decided_after_all_and_once(billing: Standing) -> None:
    till = uuid4()
    before = await skipped(billing, till)
    (letter,) = before["dead_letters"]
    fact = billing.nth(till, note(5), 2)
    assert (letter["reason"], letter["event_id"], letter["resolved_at"]) == ("skipped", str(fact.id), None)
    assert await total(billing, till) == 1 + 2
    path = f"/dead-letters/{letter['id']}/redeliver"
    assert (await post(billing, path, {"reason": "mended"})).json() == {"subject": str(till)}
    assert slug(await post(billing, path, {"reason": "mended"})) == (404, "not-found")
    for _ in range(2):
        await swept(billing)
    after = (await get(billing, f"/requests/{till}")).json()
    assert await total(billing, till) == 1 + 2 + 5
    assert (after["heard"], after["waiting"], after["dead_letters"]) == (before["heard"], [], [])


async def test_a_redelivered_letter_that_fails_again_waits_again(billing: Standing) -> None:
    till = uuid4()
    (letter,) = (await skipped(billing, till))["dead_letters"]
    await billing.runtime.database.execute("ALTER TABLE tills ADD CONSTRAINT no_eight CHECK (total <> 8)")
    await post(billing, f"/dead-letters/{letter['id']}/redeliver", {"reason": "too early"})
    await swept(billing)
    (waits,) = (await get(billing, f"/requests/{till}")).json()["waiting"]
    assert (waits["reason"], waits["event_id"]) == ("error", letter["event_id"])
    await billing.hear(till, note(3))
    assert await total(billing, till) == 1 + 2 + 3


def record(till: UUID, number: int, sequence: int, topic: str = "workflow.requests") -> Any:
    """A note as it lies on a topic."""
    event = note(number)
    return Record(topic, str(till).encode(), body(event), headers("", event, till, sequence), 0, sequence)


async def unread(billing: Standing, till: UUID, monkeypatch: pytest.MonkeyPatch) -> int:
    """The letter of the first fact about a till, which the release of that time could not read."""
    told = {"topic": "workflow.requests", "reason": "error"}
    before = measured("dead_letters_total", **told)
    with monkeypatch.context() as defect:
        defect.setattr(Ear, "_fact", lambda *_: 1 / 0)
        await Worker(billing.runtime).apply([record(till, 5, 1)])
    assert measured("dead_letters_total", **told) == before + 1
    [letter] = await billing.runtime.database.read("SELECT id, reason FROM dead_letters")
    assert letter["reason"] == "error"
    return int(letter["id"])


async def test_a_fact_that_came_again_before_its_letter_was_redelivered_has_one_effect(
    billing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = uuid4()
    letter = await unread(billing, till, monkeypatch)
    await Worker(billing.runtime).apply([record(till, 5, 1, "billing.resent")])
    answer = await post(billing, f"/dead-letters/{letter}/redeliver", {"reason": "mended"})
    await swept(billing)
    assert (answer.json(), await total(billing, till)) == ({"subject": str(till)}, 5)
    assert (await get(billing, f"/requests/{till}")).json()["waiting"] == []


async def test_a_letter_that_could_not_be_read_is_decided_in_its_place(
    billing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = uuid4()
    letter = await unread(billing, till, monkeypatch)
    await Worker(billing.runtime).apply([record(till, 2, 2)])
    assert [each["reason"] for each in (await get(billing, f"/requests/{till}")).json()["waiting"]] == ["gap"]
    await post(billing, f"/dead-letters/{letter}/redeliver", {"reason": "mended"})
    await swept(billing)
    found = (await get(billing, f"/requests/{till}")).json()
    assert (found["heard"], found["waiting"]) == ({"workflow.requests": 2}, [])
    assert await total(billing, till) == 5 + 2


async def test_a_letter_that_came_again_and_was_skipped_then_is_decided_after_all(
    billing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, database = uuid4(), billing.runtime.database
    letter = await unread(billing, till, monkeypatch)
    await database.execute("ALTER TABLE tills ADD CONSTRAINT no_five CHECK (total <> 5)")
    await Worker(billing.runtime).apply([record(till, 5, 1)])
    await database.execute("ALTER TABLE tills DROP CONSTRAINT no_five")
    (waits,) = (await get(billing, f"/requests/{till}")).json()["waiting"]
    await post(billing, f"/waiting/{waits['id']}/skip", {"reason": "by mistake"})
    await Worker(billing.runtime).apply([record(till, 2, 2)])
    [kept] = await database.read("SELECT id, reason FROM dead_letters")
    assert tuple(kept) == (letter, "skipped")
    await post(billing, f"/dead-letters/{letter}/redeliver", {"reason": "after all"})
    await swept(billing)
    assert await total(billing, till) == 2 + 5


async def test_a_letter_that_was_put_away_is_shown_so_and_not_redelivered(billing: Standing) -> None:
    till = uuid4()
    (letter,) = (await skipped(billing, till))["dead_letters"]
    await post(billing, f"/dead-letters/{letter['id']}/resolve", {"reason": "agreed"})
    (kept,) = (await get(billing, f"/requests/{till}")).json()["dead_letters"]
    assert kept["resolved_at"] is not None
    again = await post(billing, f"/dead-letters/{letter['id']}/redeliver", {"reason": "after all"})
    assert slug(again) == (404, "not-found")


@pytest.mark.parametrize("topic", ["billing.commands.erp", "workflow.requests", None])
async def test_what_is_no_fact_of_a_stream_is_not_redelivered(billing: Standing, topic: str | None) -> None:
    rows = await billing.runtime.database.read(
        "INSERT INTO dead_letters (reason, detail, topic, partition, kafka_offset, key, headers, value) "
        "VALUES ('not-a-cloudevent', '', $1, 0, 0, 'k', '[]', '{}') RETURNING id",
        topic,
    )
    answer = await post(billing, f"/dead-letters/{rows[0]['id']}/redeliver", {"reason": "try"})
    assert slug(answer) == (409, "not-a-fact")
    assert len(await billing.runtime.database.read("SELECT 1 FROM dead_letters")) == 1


@pytest.mark.parametrize(("kept_as", "redelivered"), [("workflow.requests", False), (None, True)])
async def test_a_handler_learns_that_a_fact_comes_behind_later_ones(kept_as: str | None, redelivered: bool) -> None:
    heard: list[Meta] = []
    stream = Stream(into=TILLS)
    stream.on(workflow.NoteAdded)(lambda event, meta: heard.append(meta))
    till, event = uuid4(), note(1)
    said = headers("", event, till, 4)
    row = {"record": body(event), "subject": till, "stream": kept_as, "sequence": 4 if kept_as else None}
    found = Ear("billing", "", stream, {}).revive(row, envelope(till), [(n, v) for n, v in said if v is not None])
    assert (found.stream, heard[0].topic, heard[0].sequence) == (kept_as, "workflow.requests", 4)
    assert heard[0].redelivered is redelivered


def envelope(subject: UUID) -> dict[str, Any]:
    return {"id": subject, "actor": SYSTEM, "correlation_id": subject}
