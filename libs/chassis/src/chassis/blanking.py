"""Records without what their contract marks as personal: what erasing leaves of a message that still waits."""

from collections.abc import Iterable
from typing import Any

import orjson
from pydantic import ValidationError

from contracts import registry
from contracts.base import Message

ERASED = "erased"
"""In place of a text that its command cannot be without."""


def blanked(headers: Iterable[tuple[str, bytes | None]], record: bytes) -> bytes | None:
    """A CloudEvent's value without its personal fields, as readable as before; None when it cannot be read at all.

    In structured mode the envelope stays and its data are blanked.
    """
    try:
        value = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    structured = isinstance(value.get("data"), dict) and "specversion" in value
    wire = str(value.get("type")) if structured else (dict(headers).get("ce_type") or b"").decode("utf-8", "replace")
    body = value["data"] if structured else value
    found = _message(wire)
    if found is None:
        return None
    _blank(found, body)
    try:
        found.read(orjson.dumps(body))
    except ValidationError:
        return None
    return orjson.dumps(value)


def _message(wire: str) -> type[Message] | None:
    name, _, version = wire.rpartition(".v")
    return registry.find(name, int(version)) if version.isdecimal() else None


def _blank(message: type[Message], body: dict[str, Any]) -> None:
    for name in message.personal_fields():
        if message.model_fields[name].is_required():
            body[name] = ERASED
        else:
            body.pop(name, None)
