"""A fact as anybody hears it, and what is said of one that does not balance."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(slots=True, frozen=True)
class Heard:
    """One fact of a stream: its envelope, its body, where it lay, and since when it is told.

    `sent` is false for one that its relay has not published yet.
    """

    topic: str
    type: str
    subject: UUID
    sequence: int
    id: UUID
    time: datetime
    data: dict[str, Any]
    partition: int = 0
    told_at: datetime | None = None
    sent: bool = True

    @property
    def since(self) -> datetime:
        """Since when it may have had an effect: what happened long ago may be told today (history mode)."""
        return self.told_at or self.time

    @property
    def teller(self) -> str:
        """The service whose fact it is."""
        return self.topic.split(".")[0]


@dataclass(slots=True, frozen=True)
class Orphan:
    """A fact that should have had an effect, or an effect that should not be there.

    `service` is where the effect is missing; None when nothing is missing but something is too much.
    """

    slug: str
    subject: UUID
    number: str | None
    cause: str
    at: datetime
    mend: str
    """The one command that mends it, or shows more where no command can."""
    service: str | None = None
    fact: Heard | None = None
    why: str = ""
    """What the service knows of it."""

    @property
    def request(self) -> str:
        """How people name the request."""
        return self.number or str(self.subject)
