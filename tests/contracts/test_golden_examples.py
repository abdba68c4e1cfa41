"""Golden examples: what was once told must be read for ever."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from contracts.base import Command, Message
from contracts.generate import EXAMPLE_FILES, ROOT
from contracts.publish.schemas import examples, schema_of
from contracts.registry import MESSAGES, find

FOLDER = ROOT / EXAMPLE_FILES
GOLDEN: list[tuple[type[Message], str, Any]] = [
    (message, name, body) for message in MESSAGES.values() for name, body in examples(FOLDER, message).items()
]
IDS = [f"{message.wire_type()}/{name}" for message, name, _ in GOLDEN]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.wire_type())
def test_every_message_has_a_full_example_that_fills_every_field(message: type[Message]) -> None:
    assert set(examples(FOLDER, message)["full"]) == set(message.model_fields)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.wire_type())
def test_every_message_has_an_example_of_the_least_that_is_allowed(message: type[Message]) -> None:
    required = {name for name, field in message.model_fields.items() if field.is_required()}
    assert required in [set(body) for body in examples(FOLDER, message).values()]


def test_every_example_belongs_to_a_message_that_can_be_read() -> None:
    folders = {path.name for path in FOLDER.iterdir()}
    assert folders == {message.wire_type() for message in MESSAGES.values()}


@pytest.mark.parametrize(("message", "name", "body"), GOLDEN, ids=IDS)
def test_N4_every_example_is_what_the_class_says(message: type[Message], name: str, body: Any) -> None:
    value = message.model_validate(body)
    assert message.model_validate_json(value.model_dump_json()) == value
    assert message.read(value.model_dump_json()) == value


@pytest.mark.parametrize(("message", "name", "body"), GOLDEN, ids=IDS)
def test_N4_every_example_is_what_its_schema_says(message: type[Message], name: str, body: Any) -> None:
    Draft202012Validator(schema_of(message)).validate(body)


MAPS = frozenset({"matrix", "completion_minutes", "custom", "answer", "problem"})
"""Fields whose keys are data, or that hold whatever a service answers."""


def grown(value: Any) -> Any:
    """The same value as a newer producer might tell it: with unknown fields, at every depth where fields are."""
    if isinstance(value, dict):
        deeper = {name: one if name in MAPS else grown(one) for name, one in value.items()}
        return deeper | {"added_later": {"deep": [1]}}
    return [grown(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("message", "name", "body"), GOLDEN, ids=IDS)
def test_N4_a_reader_ignores_what_a_newer_producer_adds(message: type[Message], name: str, body: Any) -> None:
    assert message.read(json.dumps(grown(body))) == message.model_validate(body)


@pytest.mark.parametrize(("message", "name", "body"), GOLDEN, ids=IDS)
def test_N4_a_producer_is_held_to_the_letter(message: type[Message], name: str, body: Any) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        message.model_validate(body | {"unknown_field": 1})
    closed = issubclass(message, Command)
    assert Draft202012Validator(schema_of(message)).is_valid(body | {"unknown_field": 1}) is not closed


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.wire_type())
def test_N12_an_event_reads_without_its_personal_fields(message: type[Message]) -> None:
    if issubclass(message, Command):
        return
    body = examples(FOLDER, message)["full"]
    left = {name: value for name, value in body.items() if name not in message.personal_fields()}
    erased = message.model_validate(left)
    assert all(getattr(erased, name) is None for name in message.personal_fields())


def test_messages_are_found_by_type_and_version() -> None:
    found = find("workflow.stage-changed", 1)
    assert found is not None
    assert found.__name__ == "StageChanged"
    assert find("workflow.stage-changed", 2) is None
    assert find("workflow.unheard-of", 1) is None
