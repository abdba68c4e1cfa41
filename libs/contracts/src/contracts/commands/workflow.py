"""Commands that workflow takes. Where nothing else is said, the request is the subject."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import Command, Personal
from contracts.catalogue import QueueShape
from contracts.fields import (
    Count,
    Custom,
    Email,
    Flag,
    Ids,
    Known,
    Level,
    Login,
    LongText,
    Name,
    Outcome,
    Reason,
    Slug,
    Summary,
    Text,
)

Roles = Annotated[
    tuple[Annotated[Slug, Known("admin", "owner", "agent", "approver", "billing")], ...], Field(max_length=20)
]
Teams = Annotated[Ids, Field(max_length=100)]


class _Taken(Command):
    service: ClassVar[str] = "workflow"
    scope: ClassVar[str] = "requests:write"


class RegisterPerson(_Taken):
    """Make a member of staff known. Answer: the person."""

    type: ClassVar[str] = "workflow.register-person"
    scope: ClassVar[str] = "people:write"

    person_id: UUID | None = None
    name: Annotated[Name, Personal()]
    email: Annotated[Email | None, Personal()] = None
    login: Annotated[Login | None, Personal()] = None
    roles: Roles = ()
    teams: Teams = ()
    active: Flag = True


class UpdatePerson(_Taken):
    """Change a member of staff (the subject). A field that is left out stays."""

    type: ClassVar[str] = "workflow.update-person"
    scope: ClassVar[str] = "people:write"

    name: Annotated[Name | None, Personal()] = None
    email: Annotated[Email | None, Personal()] = None
    login: Annotated[Login | None, Personal()] = None
    roles: Roles | None = None
    teams: Teams | None = None
    active: Flag | None = None


class RegisterTeam(_Taken):
    """Make a team known, or rename it when its id is known already."""

    type: ClassVar[str] = "workflow.register-team"
    scope: ClassVar[str] = "people:write"

    team_id: UUID | None = None
    name: Name


class DraftQueue(_Taken, QueueShape):
    """Write the draft of a queue's next version. Takes effect when it is published."""

    type: ClassVar[str] = "workflow.draft-queue"
    scope: ClassVar[str] = "catalogue:write"


class PublishQueue(_Taken):
    """Publish the draft of a queue (the subject is its name): new requests take it, running ones keep theirs."""

    type: ClassVar[str] = "workflow.publish-queue"
    scope: ClassVar[str] = "catalogue:write"


class Progress(_Taken):
    """Move to the next stage."""

    type: ClassVar[str] = "workflow.progress"

    to_stage: Name | None = None
    """Names the expected next stage; another one is refused."""


class Regress(_Taken):
    """Move back to the previous stage."""

    type: ClassVar[str] = "workflow.regress"

    reason: Annotated[Reason, Personal()]


class Jump(_Taken):
    """Move to any stage but the last; for requests that are being moved in."""

    type: ClassVar[str] = "workflow.jump"

    to_stage: Name


class Wait(_Taken):
    """Wait for a reason that the queue names."""

    type: ClassVar[str] = "workflow.wait"

    reason: Name


class Resume(_Taken):
    """Stop waiting, whatever for."""

    type: ClassVar[str] = "workflow.resume"


class Assign(_Taken):
    """Give the request an owner, a team or both. A field that is left out stays; null takes it away."""

    type: ClassVar[str] = "workflow.assign"

    owner_id: UUID | None = None
    team_id: UUID | None = None


class TakeOver(_Taken):
    """Become the owner of the request oneself."""

    type: ClassVar[str] = "workflow.take-over"


class ChangePriority(_Taken):
    """Set the priority, or urgency and impact, from which it follows."""

    type: ClassVar[str] = "workflow.change-priority"

    priority: Level | None = None
    urgency: Level | None = None
    impact: Level | None = None


class Edit(_Taken):
    """Give fields new values. A field that is left out stays; null empties it."""

    type: ClassVar[str] = "workflow.edit"

    summary: Annotated[Summary | None, Personal()] = None
    description: Annotated[LongText | None, Personal()] = None
    category: Name | None = None
    custom: Annotated[Custom | None, Personal()] = None


class AddNote(_Taken):
    """Write an internal note; contacts never see it."""

    type: ClassVar[str] = "workflow.add-note"

    text: Annotated[Text, Personal()]


class PostMessage(_Taken):
    """Write to the contact, or as the contact to the staff."""

    type: ClassVar[str] = "workflow.post-message"

    text: Annotated[Text, Personal()]


class Close(_Taken):
    """End the request. Resolved only from the last open stage, unless the queue allows it earlier."""

    type: ClassVar[str] = "workflow.close"

    outcome: Outcome
    charge_revision: Count | None = None
    """What the closer saw of the charges; left out, what workflow has heard."""
    reason: Annotated[Reason | None, Personal()] = None


class Reopen(_Taken):
    """Take a closed request up again, within the queue's window."""

    type: ClassVar[str] = "workflow.reopen"

    reason: Annotated[Reason, Personal()]
    to_stage: Name | None = None


class GoLive(_Taken):
    """End history mode: arm what is due from here on."""

    type: ClassVar[str] = "workflow.go-live"
    scope: ClassVar[str] = "history:write"
