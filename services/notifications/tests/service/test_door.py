"""The HTTP door: the delivery list for the staff, a contact's own mails, and an operator's retry."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx2
import orjson
import pytest
import pytest_asyncio

from chassis import wiring
from chassis.asked import Asked
from chassis.clock import utc_now
from chassis.decision import SYSTEM
from chassis.door import build
from chassis.erasing import Eraser
from chassis.ids import new_id
from chassis.issuer import Issuer
from chassis.schema import upgrade
from chassis.service import Runtime
from notifications.domain import messages
from notifications.main import SERVICE, Settings

pytestmark = pytest.mark.servers

ISSUER = "http://issuer.test"
ROOT = UUID("4d0c3a7e-0b55-5d0b-8d43-7c1f5a0c9e11")
CONTACT, OTHER, OWNER = (uuid5(ROOT, name) for name in ("jane", "john", "olaf"))
LOGINS = {"jane": ("contact", CONTACT), "john": ("contact", OTHER), "olaf": ("person", OWNER)}


async def _build(url: str) -> None:
    url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    await asyncio.to_thread(upgrade, "notifications.migrations", url=url, schema="public", role="")


@dataclass
class Door:
    """A running door and what stands behind it."""

    runtime: Runtime
    client: httpx2.AsyncClient
    issuer: Issuer

    async def get(self, path: str, login: str, scopes: str = "notifications:read") -> httpx2.Response:
        token = self.issuer.token(login, scopes)
        return await self.client.get(f"/notifications/v1{path}", headers={"authorization": f"Bearer {token}"})

    async def retry(
        self, request: UUID, message: str, reason: str, key: str, scopes: str = "notifications:write"
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.issuer.token('olaf', scopes)}", "idempotency-key": key}
        path = f"/notifications/v1/requests/{request}/messages/{message}/retry"
        return await self.client.post(path, json={"reason": reason}, headers=headers)

    async def hears(self, request: UUID, *heard: Any) -> None:
        for message in heard:
            asked = Asked(subject=request, message=message, id=new_id(), actor=SYSTEM, correlation_id=request)
            outcome = await self.runtime.deciders["thread"].handle(asked)
            assert outcome.refused is None
            assert outcome.error is None


@pytest_asyncio.fixture
async def door(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Door]:
    fresh = await fresh_database.template("notifications", _build)
    issuer = Issuer(tmp_path, ISSUER)
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(issuer.key_set()), encoding="utf-8")
    settings = Settings.model_validate(
        {
            "env": "test",
            "database_url": fresh.url,
            "kafka_bootstrap": "127.0.0.1:1",
            "jwks_url": keys.as_uri(),
            "issuer": ISSUER,
        }
    )
    runtime = wiring.build(SERVICE, settings, "api")
    people = [
        (kind, str(who), 1, orjson.dumps({f"{kind}_id": who, "login": login, "email": f"{login}@example.com"}).decode())
        for login, (kind, who) in LOGINS.items()
    ]
    await runtime.documents.store(people)
    transport = httpx2.ASGITransport(app=build(runtime)[1])
    async with httpx2.AsyncClient(transport=transport, base_url="http://door") as client:
        yield Door(runtime, client, issuer)
    await runtime.database.close()


def opening(request: UUID) -> messages.Open:
    cause = messages.Cause(uuid5(request, "opened"), "workflow.requests", 1)
    return messages.Open(cause, "R-000123", CONTACT, "The printer smokes", OWNER, None, True)


def breach(request: UUID) -> messages.TellBreached:
    return messages.TellBreached(messages.Cause(uuid5(request, "b"), "workflow.requests", 2), utc_now(), 5)


async def test_the_staff_see_every_message_of_a_request(door: Door) -> None:
    request = new_id()
    await door.hears(request, opening(request), breach(request))
    answer = await door.get(f"/requests/{request}/messages", "olaf")
    assert answer.status_code == 200
    assert {(one["template"], one["status"], one["number"]) for one in answer.json()["items"]} == {
        ("received", "planned", "R-000123"),
        ("breached", "planned", "R-000123"),
    }


async def test_a_contact_sees_their_own_messages_and_nothing_of_others(door: Door) -> None:
    request = new_id()
    await door.hears(request, opening(request), breach(request))
    mine = await door.get(f"/requests/{request}/messages", "jane")
    assert [one["template"] for one in mine.json()["items"]] == ["received"]
    assert (await door.get(f"/requests/{request}/messages", "john")).status_code == 404
    assert (await door.get("/messages", "jane")).status_code == 403


async def test_a_request_nobody_knows_is_not_found(door: Door) -> None:
    assert (await door.get(f"/requests/{new_id()}/messages", "olaf")).status_code == 404


async def test_nothing_is_read_without_the_scope(door: Door) -> None:
    assert (await door.get("/messages", "olaf", "requests:read")).status_code == 403


async def test_the_delivery_list_goes_page_by_page_and_by_status(door: Door) -> None:
    requests = [new_id() for _ in range(5)]
    for request in requests:
        await door.hears(request, opening(request))
    first = (await door.get("/messages?limit=3", "olaf")).json()
    second = (await door.get(f"/messages?limit=3&after={first['next']}", "olaf")).json()
    found = {one["request_id"] for one in (*first["items"], *second["items"])}
    assert found == {str(request) for request in requests}
    assert second["next"] is None
    assert (await door.get("/messages?status=unknown", "olaf")).json()["items"] == []


async def test_an_unknown_message_is_sent_again_once_and_with_a_reason(door: Door) -> None:
    request = new_id()
    await door.hears(request, opening(request))
    (planned,) = (await door.get(f"/requests/{request}/messages", "olaf")).json()["items"]
    message = planned["message_id"]
    assert (await door.retry(request, message, "hurry", "k1")).status_code == 409
    await door.hears(request, messages.Start(UUID(message)), messages.Lost(UUID(message), 1))
    assert (await door.retry(request, message, "the server came back", "k2", "notifications:read")).status_code == 403
    first = await door.retry(request, message, "the server came back", "k3")
    again = await door.retry(request, message, "the server came back", "k3")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotent-replay"] == "true"
    (now,) = (await door.get("/messages?status=planned", "olaf")).json()["items"]
    assert (now["message_id"], now["reason"]) == (message, "retry-asked")


async def test_a_message_that_does_not_exist_is_not_found(door: Door) -> None:
    request = new_id()
    await door.hears(request, opening(request))
    answer = await door.retry(request, str(new_id()), "why not", "k1")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_nothing_of_an_erased_contact_is_left_in_the_schema(door: Door) -> None:
    request = new_id()
    posted = messages.TellPosted(messages.Cause(uuid5(request, "p"), "workflow.requests", 2), "call me at home")
    await door.hears(request, opening(request), posted)
    (received, _) = (await door.get(f"/requests/{request}/messages", "olaf")).json()["items"]
    message = UUID(received["message_id"])
    refused = messages.Rejected(message, 1, "smtp-550", "jane@example.com is gone")
    await door.hears(request, messages.Start(message), refused)
    assert await Eraser(door.runtime.database, door.runtime.deciders).erase(CONTACT) == [request]
    tables = {"journal": "data, personal, private, command", "threads": "state", "deliveries": "detail"}
    for table, columns in tables.items():
        rows = await door.runtime.database.read(f"SELECT {columns} FROM {table}")
        left = str([tuple(row) for row in rows])
        assert not [text for text in ("printer", "call me", "jane@example.com") if text in left]
    statuses = [one["status"] for one in (await door.get(f"/requests/{request}/messages", "olaf")).json()["items"]]
    assert sorted(statuses) == ["planned", "refused"]
