"""Commands on a client's topic become the same messages as over HTTP."""

import json
from typing import Any
from uuid import UUID

import pytest

from chassis.clients import Client
from chassis.decision import Actor
from chassis.ids import new_id
from chassis.inbound import Arrived, RefusedCommand, inbound
from contracts import registry
from testkit.deciding import NOON
from workflow.commands import commands
from workflow.domain import messages, queues
from workflow.domain.records import Gate, Policy, Stage, WaitReason

SCOPES = frozenset({"requests:write", "history:write", "catalogue:write", "people:write"})
IMPORT = Client("import", SCOPES, may_act_for_others=True)
REQUEST, ANN = UUID(int=1), UUID(int=2)
AT = "2026-06-05T12:00:00Z"


def taken(name: str, body: dict[str, Any], subject: str = str(REQUEST), client: Client = IMPORT) -> Any:
    said = {
        "specversion": "1.0", "id": str(new_id()), "source": "/import", "type": f"workflow.{name}.v1", "time": AT,
        "subject": subject,
    }  # fmt: skip
    headers: list[tuple[str, bytes | None]] = [("content-type", b"application/json")]
    headers += [(f"ce_{key}", value.encode()) for key, value in said.items()]
    return inbound(commands, client.name, client, headers, subject.encode(), json.dumps(body).encode())


def asked(name: str, body: dict[str, Any], subject: str = str(REQUEST)) -> Any:
    found = taken(name, body, subject)
    assert isinstance(found, Arrived), found
    return found.asked


def test_a_backdated_command_of_a_client_takes_effect_when_it_says() -> None:
    found = asked("jump", {"to_stage": "Work", "effective_at": AT})
    assert (found.message.to_stage, found.message.at, found.subject) == ("Work", NOON, REQUEST)
    assert found.message.actor.kind == "client"


def test_a_client_that_may_act_for_others_names_who_asks() -> None:
    found = asked("take-over", {"actor": {"kind": "person", "id": str(ANN)}})
    assert found.message == messages.TakeOver(Actor("person", ANN, SCOPES))


def test_a_field_that_is_left_out_stays_and_null_is_a_value() -> None:
    assert asked("assign", {"owner_id": None}).message.given == {"owner_id": None}
    assert asked("assign", {"team_id": str(ANN)}).message.given == {"team_id": ANN}
    assert asked("edit", {"category": None, "summary": "?", "effective_at": AT}).message.given == {
        "category": None,
        "summary": "?",
    }


def test_a_queue_is_addressed_by_its_name() -> None:
    body = {
        "queue": "support",
        "name": "Support",
        "stages": [
            {"name": "New", "state": "new"},
            {
                "name": "Work",
                "state": "in-progress",
                "assignee": "client",
                "mandatory": ["category"],
                "approval": {"policy": {"kind": "k", "k": 1}, "approvers": [str(ANN)], "due_minutes": 5},
            },
            {"name": "Closed", "state": "closed"},
        ],
        "completion_minutes": {"high": 60},
        "matrix": {"high": {"high": "critical"}},
        "reasons": [{"name": "vendor", "pauses": True, "waiting_for": "vendor"}],
    }
    drafted = asked("draft-queue", body, "support")
    assert drafted.subject == asked("publish-queue", {}, "support").subject == queues.subject_of("support")
    definition = drafted.message.definition
    assert definition.stages[1] == Stage(
        "Work", "in-progress", "client", Gate(Policy("k", 1), (ANN,), 5), ("category",)
    )
    assert definition.reasons == (WaitReason("vendor", True, "vendor"),)
    assert (definition.completion_minutes, definition.default_priority) == ({"high": 60}, None)


def test_the_same_registration_makes_the_same_person() -> None:
    body = {"name": "Ann", "login": "ann", "roles": ["agent"]}
    first, second = asked("register-person", body), asked("register-person", body)
    assert first.subject == second.subject == first.message.person_id
    assert not first.message.named
    assert asked("register-person", {**body, "login": "ann2"}).subject != first.subject
    named = asked("register-person", {**body, "person_id": str(ANN)})
    assert (named.subject, named.message.named) == (ANN, True)


@pytest.mark.parametrize("declared", list(commands), ids=lambda declared: str(declared.model.type))
def test_nobody_without_the_scope_gets_in(declared: Any) -> None:
    found = taken(declared.model.type.removeprefix("workflow."), {}, client=Client("poor", frozenset()))
    assert isinstance(found, RefusedCommand)
    assert found.refused.slug == "insufficient-scope"


def test_every_command_of_the_contract_is_taken() -> None:
    declared = {each.model for each in commands}
    assert declared == {each for each in registry.COMMANDS if each.service == "workflow"}
