"""Bytes of a body → a contract's model: size, depth, text without control characters, and every wrong field named."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.types import Receive

from chassis.problems import Problem

MAX_DEPTH = 32
LIMIT = 128 << 10
"""Bytes of a body, at most, where no setting says otherwise."""
WITHIN = 10.0
"""Seconds in which a whole body must be here: a caller who is slower holds a place that others need."""
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SUSPECT = re.compile(rb"\\(?:u00[01]|u007[fF]|u00[89]|[bf])|\x7f|\xc2[\x80-\x9f]|NaN|Infinity")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

M = TypeVar("M", bound=BaseModel)


async def read(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """The whole body, unencoded JSON of at most `limit` bytes, however it is sent; raises the 408, 413 or 415."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > limit:
        raise Problem("too-large", f"a body may have {limit} bytes")
    try:
        async with asyncio.timeout(WITHIN):
            message = await receive()
            body: bytes = message.get("body", b"")
            while message.get("more_body"):
                message = await receive()
                body += message.get("body", b"")
                if len(body) > limit:
                    raise Problem("too-large", f"a body may have {limit} bytes")
    except TimeoutError:
        raise Problem("body-late", headers={"connection": "close"}) from None
    if message["type"] == "http.disconnect":
        raise Problem("bad-header", "the body ended early")
    if body:
        _check_type(headers)
    return body


def _check_type(headers: Mapping[bytes, bytes]) -> None:
    kind, _, parameters = headers.get(b"content-type", b"").lower().partition(b";")
    if kind.strip() != b"application/json":
        raise Problem("unsupported-media-type", "send application/json")
    if parameters.strip() not in (b"", b"charset=utf-8", b'charset="utf-8"'):
        raise Problem("unsupported-media-type", "JSON is UTF-8")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Problem("unsupported-media-type", "send it unencoded")


def parse(model: type[M], body: bytes) -> M:
    """The model that the bytes hold; raises the 400 or 422 that names everything wrong."""
    check(body)
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise problem_of(error) from None


def check(body: bytes) -> None:
    """Raise the problem of JSON that is nested too deeply or carries control characters or numbers that are none."""
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise Problem("too-deep", f"objects and arrays may be nested {MAX_DEPTH} deep")
    if _SUSPECT.search(body):
        errors = dict.fromkeys(_controls(loads(body), ""), "control characters are not allowed")
        if errors:
            raise Problem.invalid(errors)


def loads(body: bytes) -> Any:
    """Any JSON value; raises the 400 of what is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem("malformed-json", str(error)) from None


def _depth(body: bytes) -> int:
    deepest = depth = 0
    for byte in _STRINGS.sub(b"", body):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _controls(value: Any, pointer: str) -> Iterator[str]:
    if isinstance(value, str):
        if _CONTROL.search(value):
            yield pointer
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _controls(each, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for name, each in value.items():
            below = f"{pointer}/{escaped(_CONTROL.sub('?', name))}"
            if _CONTROL.search(name):
                yield below
            yield from _controls(each, below)


def escaped(name: str) -> str:
    """A name as one step of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def problem_of(error: ValidationError, where: str = "") -> Problem:
    """The problem that a validation error is: broken JSON, or every wrong field with what is wrong."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        return Problem("malformed-json", errors[0]["msg"])
    return Problem.invalid(
        {where + "".join(f"/{escaped(str(step))}" for step in each["loc"]): each["msg"] for each in errors}
    )
