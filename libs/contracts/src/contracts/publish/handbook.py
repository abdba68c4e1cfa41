"""The handbook `docs/events.md`: the contract for people who integrate, whatever their language."""

import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from contracts.base import Command, Document, Message
from contracts.publish.asyncapi import envelope_schema
from contracts.publish.schemas import Schema, examples, schema_of
from contracts.registry import (
    CLIENT_TOPICS,
    COMMANDS,
    DAY_MS,
    EVENTS,
    SERVICES,
    TOPICS,
    Topic,
)

_PROSE = Path(__file__).parent / "prose"
_COMMON = frozenset({"actor", "effective_at", "expected_version"})


def handbook(golden: Path) -> str:
    """The whole page."""
    parts = [_prose("opening"), _headers(), "\n", _prose("reading"), _topics(), "\n# Events and documents\n"]
    for service in SERVICES:
        parts.append(f"\n## {service}\n")
        parts.extend(_section(event, golden) for event in EVENTS if event.service == service)
    parts += ["\n", _prose("commands"), _command_index()]
    for service in SERVICES:
        parts.append(f"\n## Commands to {service}\n")
        parts.extend(_section(command, golden) for command in COMMANDS if command.service == service)
    parts.append("\n# Answers\n")
    shared = [event for event in EVENTS if event.service not in SERVICES]
    parts.extend(_section(event, golden) for event in shared if "results" in event.topic)
    parts += ["\n", _prose("resend")]
    parts.extend(_section(event, golden) for event in shared if "asks" in event.topic)
    parts.append("\n# Dead letters\n")
    parts.extend(_section(event, golden) for event in shared if "dead-letters" in event.topic)
    parts += ["\n# Parts\n", _parts()]
    return "".join(parts).rstrip() + "\n"


def _prose(name: str) -> str:
    """What is told once and generated from nothing."""
    return (_PROSE / f"{name}.md").read_text()


def _headers() -> str:
    schema = envelope_schema()
    rows = []
    for name, field in schema["properties"].items():
        always = "yes" if name in schema["required"] else ""
        meaning = field.get("description") or (
            f"`{field['const']}`" if "const" in field else f"`{field['examples'][0]}`"
        )
        rows.append(f"| `{name}` | {always} | {meaning} |\n")
    return "".join(rows)


def _topics() -> str:
    head = (
        "\n## Topics\n\nPartitions: as many as were chosen at installation (12 unless said otherwise) for streams,\n"
        "documents and resent facts, never changed afterwards; 3 for a client's topics, 1 for the others.\n\n"
        "| topic | kind | key | told by | read by | kept | |\n|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_topic_row(topic) for topic in (*TOPICS, *CLIENT_TOPICS))


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _topic_row(one: Topic) -> str:
    kept = "latest per key, for ever" if one.cleanup == "compact" else _days(one.retention_ms // DAY_MS)
    writer = {"asks": "the asking services", "resent": "the other services"}.get(one.kind, one.owner)
    readers = ", ".join(one.readers)
    return f"| `{one.name}` | {one.kind} | {one.key} | {writer} | {readers} | {kept} | {one.about} |\n"


def _command_index() -> str:
    rows = "".join(
        f"| `{command.wire_type()}` | `{command.service}.commands.<client>` | `{command.scope}` "
        f"| {_summary(command)} |\n"
        for command in COMMANDS
    )
    return f"\n| command | topic | needs the scope | |\n|---|---|---|---|\n{rows}"


def _summary(message: type[Message]) -> str:
    return inspect.cleandoc(message.__doc__ or "").split("\n")[0]


def _section(message: type[Message], golden: Path) -> str:
    about = inspect.cleandoc(message.__doc__ or "")
    lines = [f"\n### {message.wire_type()}\n\n{about}\n\n{_where(message)}\n"]
    schema = schema_of(message)
    hidden = _COMMON if issubclass(message, Command) else frozenset()
    fields = {name: field for name, field in schema["properties"].items() if name not in hidden}
    if fields:
        lines.append(_field_table(fields, schema.get("required", [])))
    else:
        lines.append("\nNo fields of its own: the body is `{}`.\n")
    example = {name: value for name, value in examples(golden, message).get("full", {}).items() if name not in hidden}
    if example:
        lines.append(f"\n```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n")
    return "".join(lines)


def _where(message: type[Message]) -> str:
    if issubclass(message, Command):
        return f"Class `{message.__name__}`, taken by {message.service}. Needs the scope `{message.scope}`."
    key = "."
    if issubclass(message, Document):
        key = f", key `{message.key_field}`, kind `{message.kind}`."
    readers = ", ".join(message.readers)
    topic = message.topic.replace("{service}", "<service>").replace("{client}", "<client>")
    return f"Class `{message.__name__}` on `{topic}`{key} Read by {readers}."


def _field_table(fields: dict[str, Schema], required: Iterable[str]) -> str:
    rows = "".join(
        f"| `{name}`{' ◆' if field.get('x-personal') or _personal(field) else ''} | {type_text(field)} "
        f"| {'yes' if name in required else ''} | {_note(field)} |\n"
        for name, field in fields.items()
    )
    return f"\n| field | type | required | |\n|---|---|---|---|\n{rows}"


def _personal(field: Schema) -> bool:
    return any(one.get("x-personal") for one in field.get("anyOf", []))


def _note(field: Schema) -> str:
    return " ".join(str(field.get("description", "")).split())


def type_text(field: Schema) -> str:
    """A field's type in words: "text ≤ 200", "list of id", "Money"."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return "any JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "allOf" in field:
        return type_text(field["allOf"][0])
    if "anyOf" in field:
        return " or ".join(type_text(one) for one in field["anyOf"] if one.get("type") != "null")
    match field.get("type"):
        case "array":
            return f"list of {type_text(field['items'])}"
        case "object":
            values = field.get("additionalProperties")
            return f"map of {type_text(values)}" if isinstance(values, dict) else "object"
        case "string":
            return _string(field)
        case "integer":
            low = f" ≥ {field['minimum']}" if "minimum" in field else ""
            return f"integer{low}"
        case kind:
            return str(kind or "any JSON")


def _string(field: Schema) -> str:
    if known := field.get("x-known-values"):
        return "one of " + ", ".join(f"`{value}`" for value in known) + ", …"
    named: dict[Any, str] = {"uuid": "id", "date-time": "time", "date": "day"}
    if field.get("format") in named:
        return named[field["format"]]
    if field.get("pattern") == r"^[a-z0-9-]+$":
        return f"slug ≤ {field['maxLength']}"
    if "maxLength" in field:
        return f"text ≤ {field['maxLength']}"
    return "decimal" if "[0-9]" in str(field.get("pattern")) else "text"


def _parts() -> str:
    parts: dict[str, Schema] = {}
    for message in (*EVENTS, *COMMANDS):
        parts.update(schema_of(message).get("$defs", {}))
    parts.pop("JsonValue", None)
    return "".join(
        f"\n### {name}\n\n{_note(part)}\n{_field_table(part['properties'], part.get('required', []))}"
        for name, part in sorted(parts.items())
    )
