"""The AsyncAPI 3 document: channels, messages, operations, Kafka bindings, as the registry has them."""

from pathlib import Path
from typing import Any

import yaml

from contracts.base import Command, Document, Event, Message
from contracts.envelope import SCHEMAS
from contracts.publish.schemas import Schema, examples, schema_of
from contracts.registry import CLIENT_TOPICS, DEFAULT_PARTITIONS, SERVICES, TOPICS, Topic, messages_on

BINDING = "0.5.0"
_ABOUT = """\
Service requests from submission to invoice, as facts on Apache Kafka.

Every message is a CloudEvents 1.0 event in Kafka binary mode: attributes as headers, JSON as the value.
Delivery is at least once, in order per key. Readers ignore fields and types that they do not know.
Topic names here carry no installation prefix; an installation that shares a cluster puts one in front.
`events.md` beside this file says the same in prose.
"""

Node = dict[str, Any]


def asyncapi_text(golden: Path) -> str:
    """The document as YAML."""
    body = yaml.safe_dump(document(golden), sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated from the contract by `python -m contracts.generate`; do not edit.\n{body}"


def document(golden: Path) -> Node:
    """The document; `golden` is the folder of the examples."""
    topics = (*TOPICS, *CLIENT_TOPICS)
    messages = {message.wire_type(): message for topic in topics for message in messages_on(topic)}
    schemas: Node = {"Envelope": envelope_schema()}
    for message in messages.values():
        _add_schema(schemas, message)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Throughline",
            "version": "1.0.0",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The installation's Kafka; clients sign in as the installation says.",
                "variables": {"bootstrap": {"default": "localhost:9092"}},
            }
        },
        "channels": {channel_id(topic): _channel(topic) for topic in topics},
        "operations": {f"{_action(topic)}-{channel_id(topic)}": _operation(topic) for topic in topics},
        "components": {
            "messages": {name: _message(message, golden) for name, message in messages.items()},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def channel_id(topic: Topic) -> str:
    """The channel's key in the document: the topic's name, `_client` for the client's place."""
    return topic.name.replace("{client}", "client").replace(".", "-")


def _action(topic: Topic) -> str:
    return "receive" if topic.kind in ("inbound", "asks", "resent") else "send"


def _channel(topic: Topic) -> Node:
    cleanup, retention = topic.cleanup, topic.retention_ms
    channel: Node = {
        "address": topic.name,
        "title": topic.name,
        "summary": topic.about,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {
            message.wire_type(): {"$ref": f"#/components/messages/{message.wire_type()}"}
            for message in messages_on(topic)
        },
    }
    if "{client}" in topic.name:
        channel["parameters"] = {"client": {"description": "The name under which a client is registered."}}
    return channel | {
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions or DEFAULT_PARTITIONS,
                "topicConfiguration": {
                    "cleanup.policy": [cleanup],
                    "retention.ms": retention,
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": BINDING,
            }
        },
        "x-kind": topic.kind,
        "x-key": topic.key,
        "x-owner": topic.owner,
        "x-readers": list(topic.readers),
    }


def _operation(topic: Topic) -> Node:
    return {
        "action": _action(topic),
        "channel": {"$ref": f"#/channels/{channel_id(topic)}"},
        "summary": topic.about,
        "tags": [{"name": name} for name in SERVICES if name == topic.name.split(".")[0]],
    }


def _message(message: type[Message], golden: Path) -> Node:
    name = message.wire_type()
    about = (message.__doc__ or "").strip()
    node: Node = {
        "name": name,
        "title": message.__name__,
        "summary": about.split("\n")[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Envelope"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "tags": [{"name": kind_of(message)}],
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": BINDING}},
        "examples": [
            {"name": title, "headers": {"ce_specversion": "1.0", "ce_type": name}, "payload": payload}
            for title, payload in examples(golden, message).items()
        ],
        "x-owner": message.service,
        "x-readers": list(message.readers),
    }
    if issubclass(message, Command):
        node["x-scope"] = message.scope
    if personal := message.personal_fields():
        node["x-personal"] = list(personal)
    return node


def kind_of(message: type[Message]) -> str:
    """What sort of message it is: event, document or command."""
    if issubclass(message, Command):
        return "command"
    return "document" if issubclass(message, Document) else "event"


def _add_schema(schemas: Node, message: type[Message]) -> None:
    """Put a message's schema under `components`, its parts beside it."""
    raw = {name: value for name, value in schema_of(message).items() if name not in ("$schema", "$id")}
    parts: Node = raw.pop("$defs", {})
    prefix = "" if issubclass(message, Event) else "command."
    for name, part in parts.items():
        found = schemas.setdefault(prefix + name, _relocated(part, prefix))
        if found != _relocated(part, prefix):
            raise ValueError(f"two different parts are named {name}")
    schemas[message.wire_type()] = _relocated(raw, prefix)


def _relocated(schema: Any, prefix: str) -> Any:
    if isinstance(schema, dict):
        return {
            name: value.replace("#/$defs/", f"#/components/schemas/{prefix}")
            if name == "$ref" and isinstance(value, str)
            else _relocated(value, prefix)
            for name, value in schema.items()
        }
    if isinstance(schema, list):
        return [_relocated(one, prefix) for one in schema]
    return schema


def envelope_schema() -> Schema:
    """The headers of every message."""
    text = {"type": "string"}
    uuid = {"type": "string", "format": "uuid"}
    digits = {"type": "string", "pattern": "^[0-9]+$"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes as Kafka headers; values are UTF-8 text.",
        "required": ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"],
        "properties": {
            "content-type": {"type": "string", "examples": ["application/json"]},
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": uuid | {"description": "Unique for ever; ids of a later time sort later. Drop one seen before."},
            "ce_source": text | {"description": "`/<prefix>/<service>`, or the client.", "examples": ["/tl/workflow"]},
            "ce_type": text | {"description": "`<type>.v<version>`.", "examples": ["workflow.stage-changed.v1"]},
            "ce_subject": text | {"description": "The request's id; for documents the document's key."},
            "ce_time": {"type": "string", "format": "date-time", "description": "When it happened."},
            "ce_dataschema": {"type": "string", "format": "uri", "examples": [f"{SCHEMAS}workflow.stage-changed.v1"]},
            "ce_sequence": digits | {"description": "1, 2, 3 … without gaps for each topic and subject."},
            "ce_correlationid": uuid | {"description": "The same along a whole chain of causes."},
            "ce_causationid": uuid | {"description": "The `ce_id` of what caused this."},
            "ce_hop": digits | {"description": "How many causes lie before it; left out at 0."},
            "ce_rulepath": text | {"description": "Automations that the chain passed, separated by commas."},
            "ce_actor": text | {"description": "`<kind>` or `<kind>:<id>`: who did it."},
            "traceparent": text | {"description": "W3C trace context."},
        },
    }
