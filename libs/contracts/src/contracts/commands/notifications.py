"""Commands that notifications takes."""

from typing import ClassVar
from uuid import UUID

from contracts.base import Command
from contracts.fields import Reason


class RetryMessage(Command):
    """Send a refused, bounced or unknown message of the request (the subject) once more."""

    type: ClassVar[str] = "notifications.retry-message"
    service: ClassVar[str] = "notifications"
    scope: ClassVar[str] = "notifications:write"

    message_id: UUID
    reason: Reason
