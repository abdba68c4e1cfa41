"""Gates of the schema files: nothing changes without a version, no addition breaks a reader or a replay."""

import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jsoncompat
import pytest

from contracts import workflow
from contracts.base import Event, Message, Personal
from contracts.fields import Count, Flag, Name, Slug
from contracts.generate import ROOT, SCHEMA_FILES, main
from contracts.publish.schemas import (
    Schema,
    binding,
    changed_without_version,
    closed,
    frozen_schemas,
    opened,
    revision_name,
    schema_of,
    text_of,
)
from contracts.registry import MESSAGES

FROZEN = frozen_schemas(ROOT / SCHEMA_FILES)


def text(schema: Schema) -> str:
    return json.dumps(binding(schema))


def old_readers_break(old: Schema, new: Schema) -> bool:
    """Whether something that the new writer says is refused by a reader of the old contract."""
    return not jsoncompat.check_compat(text(opened(old)), text(opened(new)), role="serializer")


def replay_breaks(old: Schema, new: Schema) -> bool:
    """Whether something that the old writer said is refused by the new contract, held to the letter."""
    return not jsoncompat.check_compat(text(closed(old)), text(closed(new)), role="deserializer")


def revisions(frozen: dict[str, Schema]) -> list[tuple[str, str]]:
    """Neighbouring revisions of one version of one type, older first."""
    lines: dict[str, list[tuple[int, str]]] = {}
    for name in frozen:
        base, _, rest = name.rpartition(".v")
        version, _, revision = rest.partition(".")
        lines.setdefault(f"{base}.v{version}", []).append((int(revision or 0), name))
    return [(old, new) for line in lines.values() for (_, old), (_, new) in pairwise(sorted(line))]


class Reported(Event):
    """A contract made up for these tests."""

    type: ClassVar[str] = "workflow.reported"
    topic: ClassVar[str] = "workflow.requests"
    service: ClassVar[str] = "workflow"
    readers: ClassVar[tuple[str, ...]] = ("billing",)

    name: Name
    kind: Slug
    minutes: Count
    late: Flag = False
    comment: Annotated[Name | None, Personal()] = None


def planted(**change: Any) -> Schema:
    """The made-up contract's schema with properties replaced; None takes one out."""
    schema = deepcopy(schema_of(Reported))
    for name, field in change.items():
        if field is None:
            del schema["properties"][name]
            schema["required"] = [other for other in schema["required"] if other != name]
        else:
            schema["properties"][name] = field
    return schema


def required(schema: Schema, *names: str) -> Schema:
    return schema | {"required": [*schema["required"], *names]}


def test_every_message_has_its_frozen_schema() -> None:
    assert [m.__name__ for m in MESSAGES.values() if revision_name(m) not in FROZEN] == []


def test_no_schema_changed_without_a_new_version() -> None:
    assert changed_without_version(MESSAGES.values(), FROZEN) == []


def test_no_frozen_schema_was_forgotten_by_the_registry() -> None:
    known = {message.wire_type() for message in MESSAGES.values()}
    assert {name for name in FROZEN if not any(name == k or name.startswith(f"{k}.") for k in known)} == set()


def test_N4_no_revision_breaks_old_readers_or_the_replay_of_old_events() -> None:
    broken = [
        (old, new)
        for old, new in revisions(FROZEN)
        if old_readers_break(FROZEN[old], FROZEN[new]) or replay_breaks(FROZEN[old], FROZEN[new])
    ]
    assert broken == []


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_N4_the_gates_can_judge_every_schema(name: str) -> None:
    assert not old_readers_break(FROZEN[name], FROZEN[name])
    assert not replay_breaks(FROZEN[name], FROZEN[name])
    assert old_readers_break(FROZEN[name], {"type": "array"})
    assert replay_breaks(FROZEN[name], {"type": "array"})


def without(schema: Schema, name: str) -> Schema:
    fields = {other: field for other, field in schema["properties"].items() if other != name}
    return schema | {"properties": fields, "required": [one for one in schema.get("required", []) if one != name]}


def retyped(schema: Schema, name: str) -> Schema:
    other = {"type": "array", "items": {"type": "array"}, "minItems": 1}
    return schema | {"properties": schema["properties"] | {name: other}}


@pytest.mark.parametrize("type_", sorted(FROZEN))
def test_N4_every_field_of_every_schema_is_guarded_against_removal_and_retyping(type_: str) -> None:
    schema = FROZEN[type_]
    for name in schema["properties"]:
        assert replay_breaks(schema, without(schema, name)), name
        assert replay_breaks(schema, retyped(schema, name)), name
        assert old_readers_break(schema, retyped(schema, name)), name
    for name in schema.get("required", []):
        assert old_readers_break(schema, without(schema, name)), name


def test_an_optional_addition_breaks_nobody() -> None:
    grown = planted(cause={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None})
    assert not old_readers_break(schema_of(Reported), grown)
    assert not replay_breaks(schema_of(Reported), grown)


BREACHES: dict[str, Schema] = {
    "a required field is removed": planted(kind=None),
    "a required field is renamed": required(planted(kind=None, sort={"type": "string"}), "sort"),
    "a required field becomes optional": schema_of(Reported) | {"required": ["name", "kind"]},
    "a number becomes a string": planted(minutes={"type": "string"}),
    "a string gets longer than readers expect": planted(name={"type": "string", "maxLength": 10_000}),
    "a lower bound falls": planted(minutes={"type": "integer", "minimum": -5}),
    "null comes where it never was": planted(late={"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
}


@pytest.mark.parametrize("what", BREACHES)
def test_N4_old_readers_are_protected_when(what: str) -> None:
    assert old_readers_break(schema_of(Reported), BREACHES[what])


REPLAYS: dict[str, Schema] = {
    "an optional field is removed": planted(comment=None),
    "an optional field is renamed": planted(comment=None, remark={"type": "string"}),
    "an optional field becomes required": required(planted(), "late"),
    "a new field is required": required(planted(cause={"type": "string"}), "cause"),
    "a length shrinks": planted(name={"type": "string", "minLength": 1, "maxLength": 20}),
    "a lower bound rises": planted(minutes={"type": "integer", "minimum": 10}),
    "null is refused where it was allowed": planted(comment={"type": "string"}),
}


@pytest.mark.parametrize("what", REPLAYS)
def test_N4_the_replay_of_old_events_is_protected_when(what: str) -> None:
    assert replay_breaks(schema_of(Reported), REPLAYS[what])


def test_a_breaking_revision_among_the_files_is_found() -> None:
    frozen = {"workflow.reported.v1": schema_of(Reported), "workflow.reported.v1.1": planted(kind=None)}
    assert revisions(frozen) == [("workflow.reported.v1", "workflow.reported.v1.1")]
    assert old_readers_break(frozen["workflow.reported.v1"], frozen["workflow.reported.v1.1"])


def test_a_changed_class_without_a_new_version_is_found() -> None:
    frozen = {"workflow.reported.v1": planted(late=None)}
    assert "Reported is not what workflow.reported.v1.json froze" in changed_without_version([Reported], frozen)[0]


def test_a_new_version_may_say_anything() -> None:
    class Reworked(Reported):
        schema_version: ClassVar[int] = 2

    assert changed_without_version([Reworked], {"workflow.reported.v1": planted(late=None)}) == []


def test_better_words_need_no_new_version() -> None:
    reworded = planted(late=schema_of(Reported)["properties"]["late"] | {"description": "Too late."})
    assert changed_without_version([Reported], {"workflow.reported.v1": reworded}) == []


def test_a_field_called_like_a_note_still_binds() -> None:
    with_description = planted(description={"type": "string"})
    assert binding(with_description) != binding(planted())


def test_the_generator_refuses_to_overwrite_a_frozen_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / SCHEMA_FILES
    files.mkdir(parents=True)
    schema = deepcopy(FROZEN["workflow.regress.v1"])
    del schema["properties"]["reason"]
    (files / "workflow.regress.v1.json").write_text(text_of(schema))
    assert main(["--root", str(tmp_path)]) == 1
    assert "Regress is not what workflow.regress.v1.json froze" in capsys.readouterr().err
    assert sorted(files.iterdir()) == [files / "workflow.regress.v1.json"]


def test_an_addition_makes_a_file_of_its_own() -> None:
    class Grown(workflow.Regress):
        schema_revision: ClassVar[int] = 2

    message: type[Message] = Grown
    assert revision_name(message) == "workflow.regress.v1.2"
