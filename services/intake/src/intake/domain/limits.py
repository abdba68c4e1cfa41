"""How much may be sent: sizes of text and of custom data. Every problem is named by its JSON Pointer."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

SUMMARY = 200
DESCRIPTION = 32_768
CATEGORY = 120
REFERENCE = 200
NAME = 120
EMAIL = 320
PHONE = 40
LOGIN = 255
REASON = 2_000
CUSTOM_FIELDS = 50
CUSTOM_KEY = 64
CUSTOM_DEPTH = 3
CUSTOM_BYTES = 16 * 1024
OPT_OUTS = 50
WORD = 64
LOCALE = 35

_WORD = re.compile(r"[a-z0-9-]+")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

Problem = tuple[str, str]


def text(pointer: str, value: str | None, limit: int, *, required: bool = False) -> Iterator[Problem]:
    """A text of at most `limit` characters; a required one is not blank."""
    if required and (value is None or not value.strip()):
        yield pointer, "must not be blank"
    if value is not None and len(value) > limit:
        yield pointer, f"at most {limit} characters, not {len(value)}"


def word(pointer: str, value: str | None) -> Iterator[Problem]:
    """A lower-case word such as `high` or `in-2-days`."""
    if value is not None and (len(value) > WORD or not _WORD.fullmatch(value)):
        yield pointer, f"a lower-case word of at most {WORD} characters"


def email(pointer: str, value: str | None) -> Iterator[Problem]:
    """Something that can be a mail address."""
    if value is not None and (len(value) > EMAIL or not _EMAIL.fullmatch(value)):
        yield pointer, "not a mail address"


def locale(pointer: str, value: str | None) -> Iterator[Problem]:
    """A language tag such as `en` or `pt-BR`."""
    if value is None or len(value) > LOCALE or not _LOCALE.fullmatch(value):
        yield pointer, "not a language tag"


def custom(pointer: str, value: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Custom data: a bounded number of fields, bounded in depth and in bytes of JSON."""
    if not value:
        return
    if len(value) > CUSTOM_FIELDS:
        yield pointer, f"at most {CUSTOM_FIELDS} fields, not {len(value)}"
    for key in value:
        if not key.strip() or len(key) > CUSTOM_KEY:
            yield f"{pointer}/{escape(key[:CUSTOM_KEY])}", f"a field's name has 1 to {CUSTOM_KEY} characters"
    if _depth(value, CUSTOM_DEPTH) > CUSTOM_DEPTH:
        yield pointer, f"nested deeper than {CUSTOM_DEPTH}"
        return
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode())
    if size > CUSTOM_BYTES:
        yield pointer, f"at most {CUSTOM_BYTES} bytes of JSON, not {size}"


def escape(key: str) -> str:
    """A key as a part of a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _depth(value: object, limit: int) -> int:
    """How deep containers are nested; counting stops just past `limit`."""
    parts: list[object]
    if isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        return 0
    if limit == 0:
        return 1
    return 1 + max((_depth(part, limit - 1) for part in parts), default=0)
