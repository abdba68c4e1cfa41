"""The HTTP door against real PostgreSQL: problems for everything, keys, versions, pages, positions."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from chassis import door, http
from chassis.asked import Asked, Outcome
from chassis.clients import Client
from chassis.decider import Decider
from chassis.ids import new_id
from chassis.inbound import Arrived, inbound
from chassis.service import Runtime
from testkit import toy, toyservice
from testkit.eventually import eventually

pytestmark = pytest.mark.servers

SCOPES = "tills:read tills:write"


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    found: str = (await fresh_database.template("toy", toy.create)).url
    await toyservice.employ(found, "ann")
    return found


@pytest.fixture
def token(tmp_path: Path) -> Callable[..., str]:
    return toyservice.issuer(tmp_path).token


@pytest_asyncio.fixture
async def runtime(url: str, token: Any, tmp_path: Path) -> AsyncIterator[Runtime]:
    built = toyservice.runtime(url, tmp_path / "jwks.json")
    yield built
    await built.database.close()


@pytest_asyncio.fixture
async def client(runtime: Runtime, token: Callable[..., str]) -> AsyncIterator[httpx2.AsyncClient]:
    app = door.build(runtime)[1]
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app),
        base_url="http://toy",
        headers={"authorization": f"Bearer {token('ann', SCOPES)}"},
    ) as found:
        yield found


def key(text: str | None = None) -> dict[str, str]:
    return {"idempotency-key": text or uuid4().hex}


async def opened(client: httpx2.AsyncClient, amount: int = 5) -> str:
    answer = await client.post("/toy/v1/tills", json={"amount": amount}, headers=key())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def problem(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["status"], found["type"].split("#")[1]) == (status, status, slug), found
    assert found["title"]
    assert found["trace_id"]
    return found


async def test_a_command_that_creates_answers_201_with_location_version_and_position(client: Any) -> None:
    answer = await client.post("/toy/v1/tills", json={"amount": 5}, headers=key())
    till = answer.json()["id"]
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/toy/v1/tills/{till}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["throughline-position"] == f"toy.tills/{till}@1"
    read = await client.get(answer.headers["location"])
    assert read.json() == {"id": till, "total": 5, "edit_version": 1}
    assert read.headers["etag"] == '"1"'


async def test_the_same_key_gives_the_same_answer_and_happens_once(client: Any) -> None:
    till, same = await opened(client), key("k1")
    first = await client.post(f"/toy/v1/tills/{till}/deposit", json={"amount": 2}, headers=same)
    again = await client.post(f"/toy/v1/tills/{till}/deposit", json={"amount": 2}, headers=same)
    assert "idempotent-replay" not in first.headers
    assert again.headers["idempotent-replay"] == "true"
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, first.json(), first.headers["etag"])
    assert (await client.get(f"/toy/v1/tills/{till}")).json()["total"] == 7


async def test_a_created_thing_keeps_its_id_when_the_key_is_repeated(client: Any) -> None:
    same = key("k2")
    answers = [await client.post("/toy/v1/tills", json={"amount": 1}, headers=same) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["location"] == answers[1].headers["location"]


async def test_many_calls_with_one_key_at_the_same_time_happen_once(client: Any) -> None:
    till, same = await opened(client, 0), key("k3")
    path = f"/toy/v1/tills/{till}/deposit"
    answers = await asyncio.gather(*(client.post(path, json={"amount": 1}, headers=same) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.get(f"/toy/v1/tills/{till}")).json()["total"] == 1


async def test_a_key_is_its_callers_own(client: Any, url: str, token: Callable[..., str]) -> None:
    await toyservice.employ(url, "bob")
    first, second = [
        await client.post(
            "/toy/v1/tills",
            json={"amount": 5},
            headers={"authorization": f"Bearer {token(who, SCOPES)}", **key("the-same")},
        )
        for who in ("ann", "bob")
    ]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


async def test_a_command_needs_its_scope(client: Any, token: Callable[..., str]) -> None:
    reader = {"authorization": f"Bearer {token('ann', 'tills:read')}", **key()}
    answer = await client.post("/toy/v1/tills", json={"amount": 5}, headers=reader)
    problem(answer, 403, "insufficient-scope")
    assert (await client.get("/toy/v1/tills")).json()["items"] == []


async def test_another_body_under_a_used_key_is_refused(client: Any) -> None:
    till, same = await opened(client), key("k4")
    await client.post(f"/toy/v1/tills/{till}/deposit", json={"amount": 2}, headers=same)
    other = await client.post(f"/toy/v1/tills/{till}/deposit", json={"amount": 3}, headers=same)
    problem(other, 422, "idempotency-key-reused")


async def test_another_path_under_a_used_key_is_refused(client: Any) -> None:
    one, two, same = await opened(client), await opened(client), key("k5")
    await client.post(f"/toy/v1/tills/{one}/deposit", json={"amount": 2}, headers=same)
    problem(await client.post(f"/toy/v1/tills/{two}/deposit", json={"amount": 2}, headers=same), 422, "idempotency-key-reused")  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("bad", [None, "", "x" * 256, "with space", "ä"])
async def test_a_command_without_a_usable_key_is_refused(client: Any, bad: str | None) -> None:
    headers = {} if bad is None else {"idempotency-key": bad.encode()}
    problem(await client.post("/toy/v1/tills", json={}, headers=headers), 400, "idempotency-key-missing")


async def test_a_refusal_is_a_problem_and_is_replayed_too(client: Any) -> None:
    till, same = await opened(client, 1), key("k6")
    headers = {**same, "if-match": "*"}
    for replay in (None, "true"):
        answer = await client.post(f"/toy/v1/tills/{till}/withdraw", json={"amount": 9}, headers=headers)
        assert problem(answer, 409, "not-enough")["total"] == 1
        assert answer.headers.get("idempotent-replay") == replay


async def test_a_version_must_be_named_and_must_be_the_current_one(client: Any) -> None:
    till = await opened(client)
    path = f"/toy/v1/tills/{till}/withdraw"
    problem(await client.post(path, json={"amount": 1}, headers=key()), 428, "if-match-missing")
    for stale in ('"0"', '"2"', "nonsense"):
        headers = {**key(), "if-match": stale}
        problem(await client.post(path, json={"amount": 1}, headers=headers), 412, "stale-version")
    answer = await client.post(path, json={"amount": 1}, headers={**key(), "if-match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


async def test_every_wrong_field_is_named_by_its_pointer(client: Any) -> None:
    till = await opened(client)
    body = {"amount": "many", "note": "", "tags": ["ok", 7], "x/y": 1}
    found = problem(await client.post(f"/toy/v1/tills/{till}/deposit", json=body, headers=key()), 422, "invalid")
    assert [each["pointer"] for each in found["errors"]] == ["/amount", "/note", "/tags/1", "/x~1y"]
    assert all(each["detail"] for each in found["errors"])


@pytest.mark.parametrize("text", ["a\x00b", "bell\x07", "\x1b[31m", "\x7f", "\x85", "back\b"])
async def test_control_characters_are_refused_wherever_they_stand(client: Any, text: str) -> None:
    till = await opened(client)
    body = {"amount": 1, "custom": {"deep": [{"t": text}]}}
    for raw in (json.dumps(body), json.dumps(body, ensure_ascii=False).replace("\x7f", "\\u007f")):
        answer = await client.post(
            f"/toy/v1/tills/{till}/deposit", content=raw.encode(), headers={**key(), "content-type": "application/json"}
        )
        assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/custom/deep/0/t"


async def test_line_breaks_tabs_and_escaped_backslashes_are_text(client: Any) -> None:
    till = await opened(client)
    body = {"amount": 1, "custom": {"t": "a\nb\tc\r\\u0000 \\b NaN Infinity"}}
    assert (await client.post(f"/toy/v1/tills/{till}/deposit", json=body, headers=key())).status_code == 200


@pytest.mark.parametrize(
    "raw", [b"{", b"nul", b'{"amount": NaN}', b'{"amount": 1}}', b"\xff\xfe", b'{"amount": 1, "note": "\xff"}']
)
async def test_what_is_no_json_is_refused(client: Any, raw: bytes) -> None:
    headers = {**key(), "content-type": "application/json"}
    problem(await client.post("/toy/v1/tills", content=raw, headers=headers), 400, "malformed-json")


@pytest.mark.parametrize(("depth", "status"), [(30, 200), (33, 400)])
async def test_json_may_be_nested_to_a_depth(client: Any, depth: int, status: int) -> None:
    till = await opened(client)
    deep = '{"amount": 1, "custom": {"d": ' + "[" * depth + "]" * depth + "}}"
    headers = {**key(), "content-type": "application/json"}
    answer = await client.post(f"/toy/v1/tills/{till}/deposit", content=deep, headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
)
async def test_only_plain_json_is_taken(client: Any, headers: dict[str, str]) -> None:
    answer = await client.post("/toy/v1/tills", content=b'{"amount": 1}', headers={**key(), **headers})
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(("size", "status"), [(128 << 10, 201), ((128 << 10) + 1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_may_have_128_kib(client: Any, size: int, status: int, chunked: bool) -> None:
    body = b'{"amount": 1}'.ljust(size)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 10_000):
            yield body[start : start + 10_000]

    headers = {**key(), "content-type": "application/json"}
    answer = await client.post("/toy/v1/tills", content=pieces() if chunked else body, headers=headers)
    assert answer.status_code == status
    if status == 413:
        problem(answer, 413, "too-large")


async def test_what_is_not_here_is_a_problem_too(client: Any) -> None:
    problem(await client.get("/toy/v1/nowhere"), 404, "not-found")
    problem(await client.get(f"/toy/v1/tills/{uuid4()}"), 404, "not-found")
    problem(await client.get("/toy/v1/tills/no-uuid"), 404, "not-found")
    problem(await client.post("/toy/v1/tills/no-uuid/deposit", json={"amount": 1}, headers=key()), 404, "not-found")
    unknown = await client.post(f"/toy/v1/tills/{uuid4()}/names/x", json={}, headers=key())
    problem(unknown, 404, "no-such-till")


async def test_a_wrong_method_names_the_right_ones(client: Any) -> None:
    answer = await client.delete(f"/toy/v1/tills/{uuid4()}")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    answer = await client.delete("/toy/v1/tills")
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_head_is_get_without_the_content(client: Any) -> None:
    till = await opened(client)
    got, head = await client.get(f"/toy/v1/tills/{till}"), await client.head(f"/toy/v1/tills/{till}")
    assert (head.status_code, head.content) == (200, b"")
    for each in (got, head):
        del each.headers["x-request-id"]
    assert head.headers == got.headers
    assert (await client.head(f"/toy/v1/tills/{uuid4()}")).status_code == 404
    assert (await client.head(f"/toy/v1/tills/{till}/deposit")).status_code == 405
    assert (await client.head("/livez")).status_code == 200


async def test_a_fault_of_ours_is_a_500_that_says_nothing_of_it(client: Any) -> None:
    till = await opened(client)
    answer = await client.post(f"/toy/v1/tills/{till}/break", json={}, headers=key())
    assert "ZeroDivision" not in answer.text
    problem(answer, 500, "internal")


async def test_a_database_that_is_away_is_a_503_to_repeat(client: Any, runtime: Runtime) -> None:
    till = await opened(client)
    await runtime.database.close()
    runtime.database._url = "postgresql://nobody@127.0.0.1:1/none"
    for answer in (
        await client.get(f"/toy/v1/tills/{till}"),
        await client.post("/toy/v1/tills", json={"amount": 1}, headers=key()),
    ):
        problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"]


async def test_path_parameters_fill_the_body_and_may_not_contradict_it(client: Any) -> None:
    till = await opened(client)
    named = await client.post(f"/toy/v1/tills/{till}/names/kitchen", json={}, headers=key())
    assert named.json()["names"] == ["kitchen"]
    answer = await client.post(f"/toy/v1/tills/{till}/names/kitchen", json={"name": "bar"}, headers=key())
    assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/name"


@pytest.mark.parametrize("field", ["actor", "effective_at", "expected_version"])
async def test_fields_of_inbound_topics_are_refused_over_http(client: Any, field: str) -> None:
    value = {"actor": {"kind": "person"}, "effective_at": "2026-01-01T00:00:00Z", "expected_version": 1}[field]
    answer = await client.post("/toy/v1/tills", json={field: value}, headers=key())
    assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == f"/{field}"


async def test_history_mode_needs_the_right_to_it(client: Any, token: Callable[..., str]) -> None:
    body = {"mode": "history"}
    problem(await client.post("/toy/v1/tills", json=body, headers=key()), 403, "backdating-not-allowed")
    allowed = {"authorization": f"Bearer {token('ann', SCOPES + ' history:write')}", **key()}
    assert (await client.post("/toy/v1/tills", json=body, headers=allowed)).status_code == 201


async def test_a_list_is_read_page_by_page_without_repeats_or_gaps(client: Any) -> None:
    tills = sorted([await opened(client) for _ in range(5)])
    seen: list[str] = []
    path = "/toy/v1/tills?limit=2"
    while path:
        answer = await client.get(path)
        seen += [row["id"] for row in answer.json()["items"]]
        path = answer.headers["link"].split(">")[0][1:] if "link" in answer.headers else ""
        assert (answer.json()["next"] is None) == (path == "")
    assert seen == tills


@pytest.mark.parametrize(("limit", "status"), [(1, 200), (200, 200), (0, 422), (201, 422)])
async def test_a_page_has_1_to_200_rows(client: Any, limit: int, status: int) -> None:
    assert (await client.get(f"/toy/v1/tills?limit={limit}")).status_code == status


@pytest.mark.parametrize("cursor", ["nonsense", "W1tdXQ", "WyJhIl0", "WzFd", "bnVsbA"])
async def test_a_cursor_that_is_none_of_this_list_is_refused(client: Any, cursor: str) -> None:
    problem(await client.get(f"/toy/v1/tills?after={cursor}"), 400, "bad-cursor")


async def test_a_read_waits_for_the_position_that_it_names(client: Any) -> None:
    till = await opened(client)
    reached = {"throughline-position": f"toy.tills/{till}@1"}
    assert (await client.get(f"/toy/v1/tills/{till}", headers=reached)).status_code == 200
    ahead = {"throughline-position": f"toy.tills/{till}@2"}
    reading = asyncio.create_task(client.get(f"/toy/v1/tills/{till}", headers=ahead))
    await client.post(f"/toy/v1/tills/{till}/deposit", json={"amount": 1}, headers=key())
    assert (await reading).json()["total"] == 6
    never = {"throughline-position": f"toy.tills/{till}@9", "prefer": "wait=1"}
    problem(await client.get(f"/toy/v1/tills/{till}", headers=never), 503, "position-not-reached")
    problem(await client.get("/toy/v1/tills", headers={"throughline-position": "x"}), 400, "bad-header")


async def test_who_may_not_read_does_not_wait_for_a_position_either(client: Any, token: Callable[..., str]) -> None:
    till = await opened(client)
    never = {"throughline-position": f"toy.tills/{till}@9", "prefer": "wait=1"}
    stranger = {"authorization": f"Bearer {token('ann', 'facts:read')}"}
    problem(await client.get(f"/toy/v1/tills/{till}", headers={**never, **stranger}), 403, "insufficient-scope")


async def test_a_command_that_waits_for_a_request_is_decided_when_that_is_here_and_not_all_the_time(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, handle = Counter[UUID](), Decider.handle

    async def counted(self: Decider[Any], asked: Asked) -> Outcome:
        tries[asked.subject] += 1
        return await handle(self, asked)

    monkeypatch.setattr(Decider, "handle", counted)
    till, never = uuid4(), uuid4()
    wait = {"prefer": "wait=1"}
    answer = await client.post(f"/toy/v1/tills/{never}/names/n", json={}, headers={**key(), **wait})
    problem(answer, 404, "no-such-till")
    assert tries[never] == 2
    naming = asyncio.create_task(client.post(f"/toy/v1/tills/{till}/names/n", json={}, headers={**key(), **wait}))
    await eventually(lambda: tries[till] == 1)
    await client.post("/toy/v1/tills", json={"till_id": str(till), "amount": 3}, headers=key())
    assert (await naming).status_code == 200
    assert tries[till] <= 3


async def test_a_read_or_command_can_wait_for_a_request_on_its_way(client: Any) -> None:
    till, wait = str(uuid4()), {"prefer": "wait=5"}
    reading = asyncio.create_task(client.get(f"/toy/v1/tills/{till}", headers=wait))
    naming = asyncio.create_task(client.post(f"/toy/v1/tills/{till}/names/n", json={}, headers={**key(), **wait}))
    await asyncio.sleep(0)
    await client.post("/toy/v1/tills", json={"till_id": till, "amount": 3}, headers=key())
    assert (await reading).json()["total"] == 3
    assert (await naming).status_code == 200


async def test_facts_of_a_subject_come_in_order_after_a_position(client: Any, token: Callable[..., str]) -> None:
    till = await opened(client)
    for amount in (1, 2):
        await client.post(f"/toy/v1/tills/{till}/deposit", json={"amount": amount}, headers=key())
    problem(await client.get(f"/toy/v1/facts?subject={till}"), 403, "insufficient-scope")
    reader = {"authorization": f"Bearer {token('ann', 'facts:read')}"}
    answer = await client.get(f"/toy/v1/facts?subject={till}&after=1", headers=reader)
    facts = answer.json()["items"]
    assert [(fact["sequence"], fact["type"], fact["data"]["total"]) for fact in facts] == [
        (2, "toy.till-changed.v1", 6),
        (3, "toy.till-changed.v1", 8),
    ]
    assert (facts[0]["subject"], facts[0]["source"]) == (till, "/throughline/toy")
    problem(await client.get(f"/toy/v1/facts?subject={till}&topic=a.b", headers=reader), 404, "not-found")


async def test_operators_retry_and_skip_what_waits_with_a_reason(
    client: Any, runtime: Runtime, token: Callable[..., str]
) -> None:
    operator = {"authorization": f"Bearer {token('ann', 'operate')}"}
    problem(await client.get("/toy/v1/waiting"), 403, "insufficient-scope")
    till = uuid4()
    first, second = new_id(), new_id()
    for identifier, amount in ((first, 1), (second, 2)):
        await wait_for_a_till(runtime, till, identifier, amount)
    listed = (await client.get("/toy/v1/waiting", headers=operator)).json()["items"]
    assert [(row["reason"], row["subject"]) for row in listed] == [("unknown", str(till))] * 2
    skip = f"/toy/v1/waiting/{listed[0]['id']}/skip"
    wrong = await client.post(skip, json={"reason": ""}, headers=operator)
    assert problem(wrong, 422, "invalid")["errors"][0]["pointer"] == "/reason"
    skipped = await client.post(skip, json={"reason": "sent by mistake"}, headers=operator)
    assert skipped.json() == {"subject": str(till)}
    problem(await client.post(skip, json={"reason": "again"}, headers=operator), 404, "nothing-waits")
    assert len((await client.get("/toy/v1/waiting", headers=operator)).json()["items"]) == 1
    (told,) = await runtime.database.read("SELECT data::text FROM journal WHERE topic = 'toy.results.erp'")
    answer = json.loads(told["data"])
    assert (answer["command_id"], answer["problem"]["detail"][:15]) == (str(first), "sent by mistake")
    retried = await client.post(f"/toy/v1/waiting/{till}/retry", headers=operator)
    assert retried.json() == {"messages": 1}
    problem(await client.post(f"/toy/v1/waiting/{uuid4()}/retry", headers=operator), 404, "nothing-waits")


async def wait_for_a_till(runtime: Runtime, till: Any, identifier: Any, amount: int) -> None:
    """Let a client's command wait for a till that is not here."""
    head = [
        ("content-type", b"application/json"),
        *((f"ce_{name}", str(value).encode()) for name, value in {
            "specversion": "1.0", "id": identifier, "source": "/erp", "type": "toy.withdraw.v1",
            "time": "2026-01-01T00:00:00Z", "subject": till,
        }.items()),
    ]  # fmt: skip
    record = json.dumps({"amount": amount}).encode()
    found = inbound(toyservice.COMMANDS, "erp", Client("erp", frozenset({"tills:write"})), head, None, record)
    assert isinstance(found, Arrived)
    found.asked.record, found.asked.headers = record, [(name, value) for name, value in head]
    (outcome,) = await runtime.deciders["tills"].handle_batch([found.asked])
    assert outcome.waiting


async def test_operators_put_dead_letters_away(client: Any, runtime: Runtime, token: Callable[..., str]) -> None:
    operator = {"authorization": f"Bearer {token('ann', 'operate')}"}
    await runtime.database.execute("INSERT INTO dead_letters (reason, detail, value) VALUES ('not-json', 'x', '{')")
    (letter,) = (await client.get("/toy/v1/dead-letters", headers=operator)).json()["items"]
    assert (letter["reason"], letter["value"]) == ("not-json", "{")
    path = f"/toy/v1/dead-letters/{letter['id']}/resolve"
    assert (await client.post(path, json={"reason": "told them"}, headers=operator)).status_code == 200
    problem(await client.post(path, json={"reason": "told them"}, headers=operator), 404, "not-found")
    assert (await client.get("/toy/v1/dead-letters", headers=operator)).json()["items"] == []


async def test_a_verb_of_operators_takes_no_larger_and_no_other_body(client: Any, token: Callable[..., str]) -> None:
    headers = {"authorization": f"Bearer {token('ann', 'operate')}", "content-type": "application/json"}
    path = "/toy/v1/waiting/1/skip"
    problem(await client.post(path, content=b"{", headers=headers), 400, "malformed-json")
    problem(await client.post(path, content=b" " * (129 << 10), headers=headers), 413, "too-large")


async def test_every_answer_carries_the_security_headers_and_an_id(client: Any) -> None:
    for answer in (await client.get("/toy/v1/tills"), await client.get("/nowhere"), await client.get("/problems")):
        for name, value in door.SECURITY_HEADERS:
            assert answer.headers[name.decode()] == value.decode()
        assert len(answer.headers["x-request-id"]) == 32


async def test_the_type_of_a_problem_leads_to_its_explanation(client: Any) -> None:
    where, name = (await client.get("/nowhere")).json()["type"].split("#")
    page = (await client.get(where)).text
    assert f"## {name}\n" in page
    assert "## not-enough\n" in page


async def test_what_is_too_much_at_once_is_answered_503_at_once(url: str, token: Any, tmp_path: Path) -> None:
    built = toyservice.runtime(url, tmp_path / "jwks.json", concurrency=1)
    transport = httpx2.ASGITransport(door.build(built)[1])
    headers = {"authorization": f"Bearer {token('ann', SCOPES)}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://toy", headers=headers) as client:
        slow = asyncio.create_task(client.get(f"/toy/v1/tills/{uuid4()}", headers={"prefer": "wait=1"}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        problem(await client.get("/toy/v1/tills"), 503, "overloaded")
        assert (await slow).status_code == 404
    await built.database.close()


async def test_every_route_asks_who_is_calling(runtime: Runtime, client: Any) -> None:
    app = door.build(runtime)[0]
    asked = 0
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            target = path.replace("{subject}", str(uuid4())).replace("{till_id}", str(uuid4())).replace("{name}", "n")
            answer = await client.request(method.upper(), target, headers={"authorization": "", **key()})
            problem(answer, 401, "unauthenticated")
            asked += 1
    assert asked >= 10


def test_an_app_with_an_open_route_does_not_start() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/open")
    async def _open() -> None: ...

    with pytest.raises(RuntimeError, match="/open"):
        http.assert_all_guarded(app)


async def test_the_description_names_every_command_with_its_body(runtime: Runtime) -> None:
    found = door.build(runtime)[0].openapi()
    operation = found["paths"]["/toy/v1/tills/{subject}/deposit"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Deposit")
    assert "actor" not in found["components"]["schemas"]["Deposit"]["properties"]
    assert operation["responses"]["default"]["content"]["application/problem+json"]
