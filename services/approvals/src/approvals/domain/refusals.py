"""Why a vote is not taken."""

from typing import ClassVar

from chassis.decision import Forbidden, Refused


class UnknownApproval(Refused):
    """This request has no such approval. Its id is learned from what was told of it, so that it cannot still come."""

    slug: ClassVar[str] = "unknown-approval"
    status: ClassVar[int] = 404


class NotAnApprover(Forbidden):
    """Only the people who were asked may decide."""

    slug: ClassVar[str] = "not-an-approver"


class NoLongerActive(Forbidden):
    """The approver has been switched off."""

    slug: ClassVar[str] = "no-longer-active"


class AlreadyVoted(Refused):
    """Every approver has one vote, and this one is cast."""

    slug: ClassVar[str] = "already-voted"
