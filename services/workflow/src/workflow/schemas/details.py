"""What lies beside a request: notes, messages and what happened."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel


class NoteView(BaseModel):
    """An internal note."""

    note_id: UUID
    note_no: int
    text: str | None
    author_kind: str
    author_id: UUID | None
    written_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """The view of a row."""
        return cls.model_validate(dict(row))


class MessageView(BaseModel):
    """A message between customer and staff."""

    message_id: UUID
    text: str | None
    author_kind: str
    author_id: UUID | None
    from_staff: bool
    posted_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """The view of a row."""
        return cls.model_validate(dict(row))


class HistoryEntry(BaseModel):
    """One thing that happened: what, when, by whom (S67, S89)."""

    seq: int
    event_id: UUID
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: dict[str, Any] | None
    data: dict[str, Any]
