"""A fact as anybody hears it on a public topic."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(slots=True, frozen=True)
class Heard:
    """One record of a stream: its envelope, its body and where it lay."""

    topic: str
    type: str
    subject: UUID
    sequence: int
    id: UUID
    time: datetime
    data: dict[str, Any]
    partition: int = 0
    offset: int = 0


@dataclass(slots=True, frozen=True)
class Orphan:
    """A fact that should have had an effect, or an effect that should not be there."""

    slug: str
    subject: UUID
    number: str | None
    cause: str
    at: datetime
    mend: str
    """The one command that mends it."""
