"""JSON Schema of every message, and the frozen files of every revision.

A schema file is never changed once it stands: an addition makes a new revision (`schema_revision`), anything else
a new version (`schema_version`). Schemas of events are open, because a reader ignores fields that it does not know;
schemas of commands are closed, because an unknown field of a command is refused.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from contracts.base import Command, Message
from contracts.envelope import SCHEMAS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOTES = frozenset({"description", "title", "examples", "x-known-values", "default"})
"""Keywords that do not bind: they may be improved in a frozen file."""

Schema = dict[str, Any]


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_of(message: type[Message]) -> Schema:
    """The JSON Schema of a message's value."""
    raw = message.model_json_schema(schema_generator=_Untitled)
    schema = raw if issubclass(message, Command) else opened(raw)
    head = {"$schema": DIALECT, "$id": f"{SCHEMAS}{revision_name(message)}", "title": message.__name__}
    return head | {name: value for name, value in schema.items() if name != "title"}


def revision_name(message: type[Message]) -> str:
    """`workflow.stage-changed.v1`, or with additions `workflow.stage-changed.v1.2`."""
    return f"{message.wire_type()}.{message.schema_revision}" if message.schema_revision else message.wire_type()


def _mapped(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    if isinstance(schema, dict):
        return change({name: _mapped(value, change) for name, value in schema.items()})
    if isinstance(schema, list):
        return [_mapped(one, change) for one in schema]
    return schema


def opened(schema: Schema) -> Schema:
    """The schema as a reader holds it: unknown fields are no fault."""

    def change(one: Schema) -> Schema:
        return {name: value for name, value in one.items() if name != "additionalProperties" or value is not False}

    opened: Schema = _mapped(schema, change)
    return opened


def closed(schema: Schema) -> Schema:
    """The schema as a producer is held to it: unknown fields are refused."""

    def change(one: Schema) -> Schema:
        if isinstance(one.get("properties"), dict) and one.get("type") == "object":
            one.setdefault("additionalProperties", False)
        return one

    closed: Schema = _mapped(schema, change)
    return closed


def binding(schema: Schema) -> Any:
    """What of a schema binds anybody: without notes, its name, and the order of what has none."""

    def strip(value: Any, inside_properties: bool) -> Any:
        if isinstance(value, dict):
            kept = value if inside_properties else {k: v for k, v in value.items() if k not in NOTES and k != "$id"}
            return {
                name: strip(one, name in ("properties", "$defs") and not inside_properties)
                for name, one in sorted(kept.items())
            }
        if isinstance(value, list):
            return sorted(value) if all(isinstance(one, str) for one in value) else [strip(one, False) for one in value]
        return value

    return strip(schema, False)


def text_of(schema: Schema) -> str:
    """The bytes of a schema file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def changed_without_version(messages: Iterable[type[Message]], frozen: Mapping[str, Schema]) -> list[str]:
    """A sentence for every message whose frozen schema says something else than its class."""
    return [
        f"{message.__name__} is not what {revision_name(message)}.json froze: "
        "raise schema_revision for an optional addition, schema_version for anything else"
        for message in messages
        if revision_name(message) in frozen and binding(frozen[revision_name(message)]) != binding(schema_of(message))
    ]


def frozen_schemas(folder: Path) -> dict[str, Schema]:
    """Every schema file by its name without ending."""
    return {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def examples(folder: Path, message: type[Message]) -> dict[str, Any]:
    """The golden examples of a message by name."""
    files = sorted((folder / message.wire_type()).glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in files}
