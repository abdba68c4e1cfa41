"""Where ids come from: derived from the message that causes them, or drawn at the edge."""

from datetime import UTC, datetime
from hashlib import blake2b
from random import uniform
from uuid import UUID, uuid5

import uuid_utils

_PRINCIPALS = UUID("0d5d9b9c-6a53-5d1c-9a0e-3b7c52a1f6b4")
KEYS = 8
"""The version (RFC 9562) of ids made of idempotency keys, which is refused from clients: none takes another's key."""
_RANDOM_BITS = (1 << 74) - 1


def new_id() -> UUID:
    """A fresh time-ordered id (UUIDv7, RFC 9562), for what enters here and brings none."""
    return UUID(int=uuid_utils.uuid7().int)


def key_id(principal: str, key: str) -> UUID:
    """The message id of an idempotency key: equal for equal (principal, key), and of a kind that no command brings."""
    hashed = uuid5(_PRINCIPALS, f"{len(principal)}:{principal}{key}")
    return UUID(int=hashed.int & ~(0xF << 76) | KEYS << 76)


def time_of(identifier: UUID) -> datetime | None:
    """The millisecond a UUIDv7 was made, or None for any other version."""
    if identifier.version != 7:
        return None
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def derived_id(message: UUID, made_at: datetime, n: int, what: str = "") -> UUID:
    """The n-th id that a message makes: a UUIDv7 of the message's time, the rest a hash of (message, what, n).

    The same on every retry, and sortable.
    """
    digest = blake2b(b"%s:%s:%d" % (message.bytes, what.encode(), n), digest_size=16).digest()
    random = int.from_bytes(digest, "big") & _RANDOM_BITS
    millis = int(made_at.timestamp() * 1000) & ((1 << 48) - 1)
    return UUID(int=(millis << 80) | (0x7 << 76) | ((random >> 62) << 64) | (0b10 << 62) | (random & ((1 << 62) - 1)))


def jitter(longest: float) -> float:
    """A random pause between nothing and `longest` seconds, so that those who failed together do not come together."""
    return uniform(0, longest)
