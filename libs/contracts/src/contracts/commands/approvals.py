"""Commands that approvals takes."""

from typing import Annotated, ClassVar
from uuid import UUID

from contracts.base import Command, Personal
from contracts.fields import Decision, Reason


class Decide(Command):
    """Vote on an approval of the request (the subject). One vote a person; a changed mind is refused."""

    type: ClassVar[str] = "approvals.decide"
    service: ClassVar[str] = "approvals"
    scope: ClassVar[str] = "approvals:decide"

    approval_id: UUID
    decision: Decision
    comment: Annotated[Reason | None, Personal()] = None
