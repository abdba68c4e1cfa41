"""Bad requests over a real socket: each status with its problem document, every wrong field with its pointer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio

from chassis import door
from chassis.serving import Server
from testkit import toy, toyservice

pytestmark = pytest.mark.servers

TILL = "/toy/v1/tills"


class Bad(NamedTuple):
    """A request, its status and slug, and the pointers that the answer names."""

    status: int
    slug: str
    method: str
    path: str
    said: dict[str, Any]
    pointers: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.status} {self.slug}"


def post(status: int, slug: str, path: str = "/deposit", pointers: tuple[str, ...] = (), **said: Any) -> Bad:
    headers = {"idempotency-key": uuid4().hex, "content-type": "application/json", **said.pop("headers", {})}
    kept = {name: value for name, value in headers.items() if value is not None}
    return Bad(status, slug, "POST", path, {"content": b'{"amount": 1}', **said, "headers": kept}, pointers)


def get(status: int, slug: str, path: str, pointers: tuple[str, ...] = (), **headers: str) -> Bad:
    return Bad(status, slug, "GET", path, {"headers": headers}, pointers)


REQUESTS = [
    post(400, "malformed-json", content=b'{"amount": '),
    post(400, "malformed-json", content=b"\xff\xfe"),
    post(400, "malformed-json", content=b'{"amount": NaN}'),
    post(400, "too-deep", content=b"[" * 40 + b"]" * 40),
    post(400, "idempotency-key-missing", headers={"idempotency-key": None}),
    post(400, "idempotency-key-missing", headers={"idempotency-key": "two words"}),
    get(400, "bad-cursor", f"{TILL}?after=nonsense"),
    get(400, "bad-cursor", "/toy/v1/tills?after=W1sidSIsMV1d"),
    post(401, "unauthenticated", headers={"authorization": "Bearer no.to.ken"}),
    get(401, "unauthenticated", TILL, authorization="Basic YW5uOg=="),
    post(403, "insufficient-scope", headers={"authorization": "READER"}),
    post(403, "unknown-caller", headers={"authorization": "NOBODY"}),
    post(403, "backdating-not-allowed", path=TILL, content=b'{"amount": 1, "mode": "history"}'),
    post(404, "no-such-till", path="NOWHERE/withdraw", headers={"if-match": "*"}),
    get(404, "not-found", "/toy/v1/nothing"),
    get(404, "not-found", f"{TILL}/%00"),
    get(404, "not-found", f"{TILL}/{uuid4()}"),
    Bad(405, "method-not-allowed", "DELETE", TILL, {}),
    post(409, "not-enough", path="/withdraw", content=b'{"amount": 99}', headers={"if-match": "*"}),
    post(412, "stale-version", path="/withdraw", headers={"if-match": '"77"'}),
    post(413, "too-large", content=b'{"note": "' + b"x" * (128 << 10) + b'"}'),
    post(415, "unsupported-media-type", headers={"content-type": "text/plain"}),
    post(415, "unsupported-media-type", headers={"content-encoding": "gzip"}),
    post(422, "invalid", content=b'{"amount": "x", "more": 1, "tags": ["a", 7]}',
         pointers=("/amount", "/more", "/tags/1")),
    post(422, "invalid", content=b'{"amount": 1, "note": "a\\u0000b"}', pointers=("/note",)),
    post(422, "invalid", content=b'{"amount": 1, "custom": {"a\\u001fb": [{"c": "\\u007f"}]}}',
         pointers=("/custom/a?b", "/custom/a?b/0/c")),
    post(422, "invalid", content=b'{"amount": 1, "actor": {"kind": "person"}}', pointers=("/actor",)),
    get(422, "invalid", f"{TILL}?limit=0", pointers=("/query/limit",)),
    post(428, "if-match-missing", path="/withdraw"),
]  # fmt: skip


@pytest_asyncio.fixture
async def place(fresh_database: Any, tmp_path: Path) -> AsyncIterator[tuple[str, Callable[..., str]]]:
    """(where the toy listens, its issuer's tokens)."""
    url = str((await fresh_database.template("toy", toy.create)).url)
    await toyservice.employ(url, "ann")
    token = toyservice.issuer(tmp_path).token
    process = toyservice.runtime(url, tmp_path / "jwks.json")
    server = Server(door.build(process)[1], host="127.0.0.1", port=0)
    serving = asyncio.create_task(server.serve())
    await server.listening()
    yield f"http://127.0.0.1:{server.port}", token
    server.stop()
    await serving
    await process.database.close()


async def ask(client: httpx2.AsyncClient, token: Callable[..., str], till: str, bad: Bad) -> httpx2.Response:
    """Ask as the table says; `READER` and `NOBODY` stand for tokens, a path with nothing before it for the till's."""
    headers = {"authorization": f"Bearer {token('ann', 'tills:read tills:write')}", **bad.said.get("headers", {})}
    others = {"READER": ("ann", "tills:read"), "NOBODY": ("nobody", "tills:read tills:write")}
    if headers["authorization"] in others:
        headers["authorization"] = f"Bearer {token(*others[headers['authorization']])}"
    path = bad.path.replace("NOWHERE", f"{TILL}/{uuid4()}")
    path = path if path.startswith("/toy") else f"{TILL}/{till}{path}"
    return await client.request(bad.method, path, **{**bad.said, "headers": headers})


async def test_each_bad_request_is_a_problem_that_names_what_is_wrong_and_changes_nothing(
    place: tuple[str, Callable[..., str]],
) -> None:
    address, token = place
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as client:
        made = await ask(client, token, "", post(201, "", path=TILL, content=b'{"amount": 5}'))
        till = made.json()["id"]
        for bad in REQUESTS:
            check(await ask(client, token, till, bad), bad)
        kept = await ask(client, token, till, get(200, "", f"{TILL}/{till}"))
        assert kept.json() == {"id": till, "total": 5, "edit_version": 1}
    assert {bad.status for bad in REQUESTS} >= {400, 401, 403, 404, 409, 412, 413, 415, 422, 428}


def check(answer: httpx2.Response, bad: Bad) -> None:
    assert answer.headers["content-type"] == "application/problem+json", (bad, answer.text)
    found = answer.json()
    slug = found["type"].removeprefix("/problems#")
    assert (answer.status_code, found["status"], slug) == (bad.status, bad.status, bad.slug), (bad, found)
    assert tuple(sorted(each["pointer"] for each in found.get("errors", ()))) == bad.pointers, (bad, found)
    assert found["trace_id"]
    assert ("etag" in answer.headers, "current" in found) == (bad.status == 412, bad.status == 412)
    assert bad.status != 401 or "www-authenticate" in answer.headers


async def test_a_body_that_does_not_come_gives_its_place_back(
    place: tuple[str, Callable[..., str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.bodies.WITHIN", 0.2)
    address, token = place
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {TILL} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token('ann', 'tills:write')}\r\n"
        f"idempotency-key: {uuid4()}\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{{".encode()
    )
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).lower()
    assert head.startswith(b"http/1.1 408 ")
    assert b"connection: close" in head
    writer.close()


async def test_head_has_the_length_of_the_answer_and_nothing_of_it(place: tuple[str, Callable[..., str]]) -> None:
    address, token = place
    headers = {"authorization": f"Bearer {token('ann', 'tills:read tills:write')}"}
    async with httpx2.AsyncClient(base_url=address, trust_env=False, headers=headers) as client:
        made = await client.post(TILL, json={"amount": 5}, headers={"idempotency-key": "one"})
        for path in (f"{TILL}/{made.json()['id']}", "/problems", f"{TILL}/{uuid4()}"):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == str(len(got.content))


async def test_who_comes_too_late_is_shown_how_it_stands_now(place: tuple[str, Callable[..., str]]) -> None:
    address, token = place
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as client:
        made = await ask(client, token, "", post(201, "", path=TILL, content=b'{"amount": 5}'))
        till, first = made.json()["id"], made.headers["etag"]
        withdraw = post(200, "", path="/withdraw", headers={"if-match": first})
        assert (await ask(client, token, till, withdraw)).status_code == 200
        late = await ask(client, token, till, post(412, "", path="/withdraw", headers={"if-match": first}))
        assert late.status_code == 412
        assert (late.json()["current"], late.headers["etag"]) == ({"id": till, "total": 4, "names": []}, '"2"')
        again = post(200, "", path="/withdraw", headers={"if-match": late.headers["etag"]})
        assert (await ask(client, token, till, again)).json()["total"] == 3
