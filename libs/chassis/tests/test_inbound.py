"""What a record on a client's command topic is: a command, a refusal to answer, or a dead letter."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import problems
from chassis.asked import Turned
from chassis.clients import Client, client_id
from chassis.decision import Actor
from chassis.ids import key_id, new_id
from chassis.inbound import Arrived, DeadCommand, RefusedCommand, inbound, revive
from testkit import toy
from testkit.toyservice import COMMANDS

ERP = Client("erp", frozenset({"tills:write"}))
IMPORT = Client("import", frozenset({"tills:write", "history:write"}), may_act_for_others=True)
TILL = UUID("11111111-1111-4111-8111-111111111111")


def headers(type_name: str = "toy.deposit.v1", **more: Any) -> list[tuple[str, bytes | None]]:
    said = {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/erp",
        "type": type_name,
        "time": "2026-01-01T00:00:00Z",
        "subject": str(TILL),
        **more,
    }
    return [("content-type", b"application/json")] + [
        (f"ce_{name}", str(value).encode()) for name, value in said.items() if value is not None
    ]


def taken(client: Client | None, head: Any, body: Any, key: bytes | None = str(TILL).encode()) -> Any:
    value = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return inbound(COMMANDS, "erp" if client is None else client.name, client, head, key, value)


def refusal(found: Any) -> str:
    assert isinstance(found, RefusedCommand), found
    return found.refused.slug


def test_a_command_becomes_the_same_message_as_over_http() -> None:
    identifier, correlation = new_id(), uuid4()
    found = taken(ERP, headers(id=identifier, correlationid=correlation, sequence=4), {"amount": 3})
    assert isinstance(found, Arrived)
    asked = found.asked
    assert (asked.message, asked.subject, asked.id) == (toy.Add(3), TILL, identifier)
    assert (asked.correlation_id, asked.causation_id, asked.reply_to) == (correlation, identifier, "erp")
    assert (asked.stream, asked.sequence, asked.remember) == ("toy.commands.erp", 4, True)
    assert asked.actor == Actor("client", client_id("erp"), ERP.scopes)


def test_a_structured_event_is_taken_too() -> None:
    event = {name.removeprefix("ce_"): value.decode() for name, value in headers() if value and name[:3] == "ce_"}
    body = json.dumps({**event, "datacontenttype": "application/json", "data": {"amount": 3}}).encode()
    found = taken(ERP, [("content-type", b"application/cloudevents+json; charset=utf-8")], body)
    assert found.asked.message == toy.Add(3)


def test_the_same_record_twice_has_the_same_hash_and_another_client_another() -> None:
    head = headers()
    once, twice = (taken(ERP, head, {"amount": 3}).asked.request_hash for _ in range(2))
    other = taken(Client("pos", ERP.scopes), head, {"amount": 3}).asked.request_hash
    assert once == twice != other
    assert taken(ERP, head, {"amount": 4}).asked.request_hash != once


def waiting_row(head: Any, body: bytes) -> dict[str, Any]:
    """What is kept of a command that waits."""
    named = [[name, None if value is None else base64.b64encode(value).decode()] for name, value in head]
    kept = {
        "actor": {"kind": "client", "id": str(client_id("erp")), "rights": ["tills:write"]},
        "correlation_id": str(TILL), "causation_id": None, "hop": 0, "traceparent": None,
        "at": "2026-01-01T00:00:00Z", "reply_to": "erp", "origin": None,
    }  # fmt: skip
    return {
        "id": 1, "event_id": uuid4(), "subject": TILL, "stream": None, "sequence": None, "record": body, "attempts": 1,
        "headers": json.dumps(named), "envelope": json.dumps(kept), "first_at": datetime.now(UTC), "next_at": None,
        "reason": "unknown",
    }  # fmt: skip


def test_a_waiting_command_is_read_again_as_it_was_headers_without_value_included() -> None:
    again = revive(COMMANDS, waiting_row([*headers(), ("ce_id", None)], b'{"amount": 3}'))
    assert (again.message, again.reply_to, again.waiting_id) == (toy.Add(3), "erp", 1)
    assert again.headers is not None
    assert again.headers[-1] == ("ce_id", None)


@pytest.mark.parametrize(
    ("head", "body", "slug"),
    [
        (headers(), b'{"amount": "x"}', "invalid"),
        (headers(id=None), b'{"amount": 3}', "unreadable"),
        (headers("toy.gone.v1"), b'{"amount": 3}', "unknown-command"),
    ],
)
def test_a_waiting_command_that_is_not_taken_any_more_is_refused_to_its_sender(
    head: Any, body: bytes, slug: str
) -> None:
    again = revive(COMMANDS, waiting_row(head, body))
    assert isinstance(again.message, Turned)
    assert (again.message.refused.slug, again.reply_to, again.waiting_id) == (slug, "erp", 1)


def test_no_command_takes_the_id_of_an_idempotency_key() -> None:
    assert refusal(taken(ERP, headers(id=str(key_id("client|erp", "k1"))), {"amount": 1})) == "invalid"


def test_an_actor_counts_only_from_who_may_act_for_others() -> None:
    person = uuid4()
    body = {"amount": 1, "actor": {"kind": "person", "id": str(person)}}
    assert refusal(taken(ERP, headers(), body)) == "actor-not-allowed"
    assert taken(IMPORT, headers(), body).asked.actor == Actor("person", person, IMPORT.scopes)


def test_a_time_of_ones_own_needs_the_right_to_it() -> None:
    for body in ({"amount": 1, "effective_at": "2020-01-01T00:00:00Z"}, {"amount": 1, "mode": "history"}):
        assert refusal(taken(ERP, headers(), body)) == "backdating-not-allowed"
        assert isinstance(taken(IMPORT, headers(), body), Arrived)
    asked = taken(IMPORT, headers(), {"amount": 1, "effective_at": "2020-01-01T00:00:00Z"}).asked
    assert asked.occurred_at.year == 2020


def test_an_expected_version_is_checked_like_if_match() -> None:
    assert taken(ERP, headers(), {"amount": 1, "expected_version": 7}).asked.expect == 7


@pytest.mark.parametrize(
    ("head", "body", "slug"),
    [
        ({"type_name": "toy.nothing.v1"}, {}, "unknown-command"),
        ({"type_name": "toy.deposit.v2"}, {"amount": 1}, "unknown-command"),
        ({}, b"{", "malformed-json"),
        ({}, b"\xff", "malformed-json"),
        ({}, None, "invalid"),
        ({}, {"amount": "x"}, "invalid"),
        ({}, {"amount": 1, "more": 1}, "invalid"),
        ({}, {"amount": 1, "note": "a\u0000"}, "invalid"),
        ({}, ("[" * 40 + "]" * 40).encode(), "too-deep"),
        ({"subject": None}, {"amount": 1}, "invalid"),
        ({"subject": "no-uuid"}, {"amount": 1}, "wrong-key"),
        ({"subject": str(uuid4())}, {"amount": 1}, "wrong-key"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_answered(head: Any, body: Any, slug: str) -> None:
    found = taken(ERP, headers(**head), body)
    assert refusal(found) == slug
    assert found.client == "erp"


def test_a_body_with_thousands_of_wrong_fields_is_answered_in_few_words() -> None:
    found = taken(ERP, headers(), {f"{n:x}": 0 for n in range(9_000)} | {"a" * 9_000: 0})
    assert refusal(found) == "invalid"
    assert found.refused.detail == "9002 field(s) cannot be accepted"
    answer = problems.to_bytes(found.refused, "")
    assert (len(json.loads(answer)["errors"]), len(answer) < 100_000) == (100, True)


def test_a_record_is_bounded_with_all_its_headers() -> None:
    found = taken(ERP, [*headers(), *[(f"x-{n}", b"x" * 50_000) for n in range(11)]], {"amount": 1})
    assert refusal(found) == "too-large"


def test_a_client_without_the_scope_or_unknown_is_refused() -> None:
    assert refusal(taken(Client("erp", frozenset()), headers(), {"amount": 1})) == "insufficient-scope"
    assert refusal(taken(None, headers(), {"amount": 1})) == "unknown-caller"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (headers(id=None), "header-missing"),
        (headers(id="7"), "attribute-malformed"),
        (headers(sequence="x"), "attribute-malformed"),
        ([], "not-a-cloudevent"),
        ([("ce_id", b"\xff")], "header-not-text"),
        ([("content-type", b"application/cloudevents+json")], "not-json"),
    ],
)
def test_what_names_no_command_is_a_dead_letter(head: Any, reason: str) -> None:
    found = taken(ERP, head, b"no event")
    assert isinstance(found, DeadCommand)
    assert found.reason == reason


def test_a_created_thing_has_the_subject_or_the_id_that_the_client_chose() -> None:
    chosen = uuid4()
    head = {"type_name": "toy.open.v1"}
    assert taken(ERP, headers(**head), {}).asked.subject == TILL
    assert taken(ERP, headers(**head, subject=None), {"till_id": str(chosen)}, None).asked.subject == chosen
    same = new_id()
    made = {taken(ERP, headers(**head, subject=None, id=same), {}, None).asked.subject for _ in range(2)}
    assert len(made) == 1


@given(
    head=st.lists(st.tuples(st.text(max_size=12), st.one_of(st.none(), st.binary(max_size=40)))),
    key=st.one_of(st.none(), st.binary(max_size=40)),
    value=st.one_of(st.none(), st.binary(max_size=200)),
)
def test_no_record_makes_it_raise(head: Any, key: bytes | None, value: bytes | None) -> None:
    assert isinstance(taken(ERP, head, value, key), DeadCommand | RefusedCommand)
    assert taken(ERP, headers() + head, value, key) is not None
