"""Round trips: whatever a schema allows, its class reads, and what the class writes the schema allows again."""

import json
from datetime import timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from contracts.base import Message
from contracts.fields import NO_CONTROLS, NO_CONTROLS_BUT_LAYOUT
from contracts.generate import EXAMPLE_FILES, ROOT
from contracts.publish.schemas import Schema, closed, examples, schema_of
from contracts.registry import MESSAGES

BEYOND_SCHEMA = ("control characters", "decimals", "k is given", "bytes as JSON", "a time lies", "integers lie")
"""Rules of a class that JSON Schema cannot say."""

UTF8 = st.characters(codec="utf-8")
DIRECTIONS = "".join(map(chr, (*range(0x2028, 0x202F), *range(0x2066, 0x206A))))
"""Ends of lines and changes of direction, which no plain text may have."""
PLAIN = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters=DIRECTIONS)
ALPHABETS: dict[str | None, st.SearchStrategy[str]] = {
    None: UTF8,
    NO_CONTROLS: PLAIN,
    NO_CONTROLS_BUT_LAYOUT: PLAIN | st.sampled_from("\t\n\r"),
}
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(UTF8, max_size=8)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(UTF8), inner))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "uuid": st.uuids().map(str),
    "date": st.dates().map(str),
    "date-time": st.datetimes(timezones=OFFSETS).map(lambda at: at.isoformat(timespec="microseconds")),
}


def bodies(schema: Schema, parts: Schema) -> st.SearchStrategy[Any]:
    """Values that a schema allows."""
    if "$ref" in schema:
        return bodies(parts[schema["$ref"].rsplit("/", 1)[-1]], parts)
    if "anyOf" in schema:
        return st.one_of([bodies(one, parts) for one in schema["anyOf"]])
    match schema.get("type"):
        case "object":
            return objects(schema, parts)
        case "array":
            low, high = schema.get("minItems", 0), schema.get("maxItems", 3)
            return st.lists(bodies(schema["items"], parts), min_size=low, max_size=max(low, min(high, low + 2)))
        case "string":
            return strings(schema)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANYTHING


def objects(schema: Schema, parts: Schema) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: bodies(field, parts) for name, field in schema.get("properties", {}).items()}
    required = schema.get("required", [])
    if fields:
        named = {name: fields[name] for name in required}
        return st.fixed_dictionaries(named, optional={n: f for n, f in fields.items() if n not in required})
    values = schema.get("additionalProperties", True)
    keys = strings(schema.get("propertyNames", {}))
    if patterns := schema.get("patternProperties"):
        ((pattern, values),) = patterns.items()
        keys = strings({"pattern": pattern, "minLength": 1, "maxLength": 64})
    return st.dictionaries(keys, ANYTHING if values is True else bodies(values, parts), max_size=3)


def strings(schema: Schema) -> st.SearchStrategy[str]:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    return texts(schema.get("pattern"), schema.get("minLength", 0), schema.get("maxLength", 100))


@cache
def texts(pattern: str | None, low: int, high: int) -> st.SearchStrategy[str]:
    if pattern is None or pattern in ALPHABETS:
        return st.text(ALPHABETS[pattern], min_size=low, max_size=min(high, 50))
    matching = st.from_regex(f"{pattern.removesuffix('$')}\\Z", alphabet=st.characters(max_codepoint=0x17F))
    return matching.filter(lambda text: low <= len(text) <= high)


@cache
def schema_for(message: type[Message]) -> Schema:
    return closed(schema_of(message))


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.wire_type())
def test_N4_what_the_schema_allows_the_class_reads_and_writes_again(message: type[Message]) -> None:
    schema = schema_for(message)
    check = Draft202012Validator(schema)
    read = 0

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies(schema, schema.get("$defs", {})))
    def round_trip(body: Any) -> None:
        nonlocal read
        check.validate(body)
        try:
            value: Message = message.read(json.dumps(body))
        except ValidationError as error:
            if not any(words in str(error) for words in BEYOND_SCHEMA):
                raise
            return
        written = value.model_dump_json()
        check.validate(json.loads(written))
        assert message.read(written) == value
        read += 1

    round_trip()
    assert read


WRONG: tuple[Any, ...] = ([[]], {"?": {}}, 0.5)


def spoiled(body: dict[str, Any], name: str, schema: Schema) -> list[dict[str, Any]]:
    """The same body with one field wrong in turn: of another type, or missing where it must not be."""
    wrong = [body | {name: value} for value in WRONG]
    return [*wrong, {n: v for n, v in body.items() if n != name}] if name in schema.get("required", []) else wrong


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.wire_type())
def test_N4_what_the_schema_refuses_the_class_refuses(message: type[Message]) -> None:
    schema = schema_for(message)
    check = Draft202012Validator(schema)
    body = examples(ROOT / EXAMPLE_FILES, message)["full"]
    for name in schema.get("properties", {}):
        for bad in spoiled(body, name, schema):
            if not check.is_valid(bad):
                with pytest.raises(ValidationError):
                    message.model_validate_json(json.dumps(bad))
