"""What can be asked of this service, over HTTP and on inbound topics alike."""

from typing import Any
from uuid import UUID, uuid5

from chassis.commands import Caller, Commands
from contracts import workflow
from workflow.deciders import PEOPLE, QUEUES, REQUESTS, TEAMS
from workflow.domain import messages, queues
from workflow.domain.records import Definition, Gate, Policy, Stage, WaitReason

WRITE = "requests:write"
CATALOGUE = "catalogue:write"
STAFF = "people:write"
_ROOT = UUID("3f6a0f0e-5a0e-5b5c-9c39-6f2d3c1a7e42")
_ENVELOPE = {"actor", "effective_at", "expected_version"}

commands = Commands("workflow")


@commands.on(workflow.Progress, "POST", "/requests/{subject}/progress", scope=WRITE, into=REQUESTS)
def progress(body: workflow.Progress, caller: Caller) -> messages.Progress:
    """Move to the next stage."""
    return messages.Progress(body.to_stage, caller.actor, caller.effective_at)


@commands.on(workflow.Regress, "POST", "/requests/{subject}/regress", scope=WRITE, into=REQUESTS, if_match=True)
def regress(body: workflow.Regress, caller: Caller) -> messages.Regress:
    """Move back to the previous stage."""
    return messages.Regress(body.reason, caller.actor, caller.effective_at)


@commands.on(workflow.Jump, "POST", "/requests/{subject}/jump", scope=WRITE, into=REQUESTS)
def jump(body: workflow.Jump, caller: Caller) -> messages.Jump:
    """Move to any stage, in history mode."""
    return messages.Jump(body.to_stage, caller.actor, caller.effective_at)


@commands.on(workflow.Wait, "POST", "/requests/{subject}/wait", scope=WRITE, into=REQUESTS)
def wait(body: workflow.Wait, caller: Caller) -> messages.Wait:
    """Wait for a reason that the queue names."""
    return messages.Wait(body.reason, caller.actor, caller.effective_at)


@commands.on(workflow.Resume, "POST", "/requests/{subject}/resume", scope=WRITE, into=REQUESTS)
def resume(body: workflow.Resume, caller: Caller) -> messages.Resume:
    """Stop waiting."""
    return messages.Resume(caller.actor, caller.effective_at)


@commands.on(workflow.Assign, "POST", "/requests/{subject}/assign", scope=WRITE, into=REQUESTS, if_match=True)
def assign(body: workflow.Assign, caller: Caller) -> messages.Assign:
    """Give it an owner, a team or both."""
    return messages.Assign(_given(body), caller.actor, caller.effective_at)


@commands.on(workflow.TakeOver, "POST", "/requests/{subject}/take-over", scope=WRITE, into=REQUESTS)
def take_over(body: workflow.TakeOver, caller: Caller) -> messages.TakeOver:
    """Become the owner."""
    return messages.TakeOver(caller.actor, caller.effective_at)


@commands.on(workflow.ChangePriority, "POST", "/requests/{subject}/priority", scope=WRITE, into=REQUESTS, if_match=True)
def change_priority(body: workflow.ChangePriority, caller: Caller) -> messages.ChangePriority:
    """Set the priority, or urgency and impact."""
    return messages.ChangePriority(body.priority, body.urgency, body.impact, caller.actor, caller.effective_at)


@commands.on(workflow.Edit, "PATCH", "/requests/{subject}", scope=WRITE, into=REQUESTS, if_match=True)
def edit(body: workflow.Edit, caller: Caller) -> messages.Edit:
    """Give fields new values."""
    return messages.Edit(_given(body), caller.actor, caller.effective_at)


@commands.on(workflow.AddNote, "POST", "/requests/{subject}/notes", scope=WRITE, into=REQUESTS)
def add_note(body: workflow.AddNote, caller: Caller) -> messages.AddNote:
    """Write an internal note."""
    return messages.AddNote(body.text, caller.actor, caller.effective_at)


@commands.on(workflow.PostMessage, "POST", "/requests/{subject}/messages", scope=WRITE, into=REQUESTS)
def post_message(body: workflow.PostMessage, caller: Caller) -> messages.PostMessage:
    """Write to the other side."""
    return messages.PostMessage(body.text, caller.actor, caller.effective_at)


@commands.on(workflow.Close, "POST", "/requests/{subject}/close", scope=WRITE, into=REQUESTS)
def close(body: workflow.Close, caller: Caller) -> messages.Close:
    """End it: resolved, unresolved or cancelled."""
    return messages.Close(body.outcome, body.charge_revision, body.reason, caller.actor, caller.effective_at)


@commands.on(workflow.Reopen, "POST", "/requests/{subject}/reopen", scope=WRITE, into=REQUESTS)
def reopen(body: workflow.Reopen, caller: Caller) -> messages.Reopen:
    """Take it up again."""
    return messages.Reopen(body.reason, body.to_stage, caller.actor, caller.effective_at)


@commands.on(workflow.GoLive, "POST", "/requests/{subject}/go-live", scope="history:write", into=REQUESTS)
def go_live(body: workflow.GoLive, caller: Caller) -> messages.GoLive:
    """End history mode."""
    return messages.GoLive(caller.actor, caller.effective_at)


def _person_id(_: Any, body: workflow.RegisterPerson) -> UUID:
    """The id that is given; else one made of the registration, so that repeating it makes nobody twice."""
    return body.person_id or uuid5(_ROOT, body.model_dump_json(exclude=_ENVELOPE))


def _team_id(_: Any, body: workflow.RegisterTeam) -> UUID:
    return body.team_id or uuid5(_ROOT, f"team {body.name}")


@commands.on(workflow.RegisterPerson, "POST", "/people", scope=STAFF, into=PEOPLE, creates=True, subject=_person_id)
def register_person(body: workflow.RegisterPerson, caller: Caller) -> messages.RegisterPerson:
    """Make a member of staff known."""
    return messages.RegisterPerson(
        _person_id(None, body), body.person_id is not None, body.name, body.email, body.login, body.roles, body.teams,
        body.active,
    )  # fmt: skip


@commands.on(workflow.UpdatePerson, "PATCH", "/people/{subject}", scope=STAFF, into=PEOPLE, if_match=True)
def update_person(body: workflow.UpdatePerson, caller: Caller) -> messages.UpdatePerson:
    """Change a member of staff."""
    return messages.UpdatePerson(_given(body))


@commands.on(workflow.RegisterTeam, "POST", "/teams", scope=STAFF, into=TEAMS, creates=True, subject=_team_id)
def register_team(body: workflow.RegisterTeam, caller: Caller) -> messages.RegisterTeam:
    """Make a team known."""
    return messages.RegisterTeam(_team_id(None, body), body.team_id is not None, body.name)


@commands.on(
    workflow.DraftQueue,
    "PUT",
    "/queues/{queue}/draft",
    scope=CATALOGUE,
    into=QUEUES,
    subject=lambda path, body: queues.subject_of(body.queue),
)
def draft_queue(body: workflow.DraftQueue, caller: Caller) -> messages.DraftQueue:
    """Write the draft of a queue's next version."""
    return messages.DraftQueue(
        Definition(
            queue=body.queue,
            version=0,
            name=body.name,
            stages=tuple(_stage(stage) for stage in body.stages),
            completion_minutes=dict(body.completion_minutes),
            matrix={urgency: dict(row) for urgency, row in body.matrix.items()},
            default_priority=body.default_priority,
            reasons=tuple(WaitReason(reason.name, reason.pauses, reason.waiting_for) for reason in body.reasons),
            early_resolve=body.early_resolve,
            reopen_days=body.reopen_days,
            owner_id=body.owner_id,
            team_id=body.team_id,
        )
    )


@commands.on(
    workflow.PublishQueue,
    "POST",
    "/queues/{queue}/publish",
    scope=CATALOGUE,
    into=QUEUES,
    subject=lambda path, body: queues.subject_of(path["queue"]),
)
def publish_queue(body: workflow.PublishQueue, caller: Caller) -> messages.PublishQueue:
    """Let new requests take the draft."""
    return messages.PublishQueue()


def _stage(stage: workflow.StageDefinition) -> Stage:
    gate = stage.approval
    asks = (
        None if gate is None else Gate(Policy(gate.policy.kind, gate.policy.k), tuple(gate.approvers), gate.due_minutes)
    )
    return Stage(stage.name, stage.state, stage.assignee, asks, tuple(stage.mandatory))


def _given(body: workflow.Edit | workflow.Assign | workflow.UpdatePerson) -> dict[str, Any]:
    """The fields that the body names; null among them is a value."""
    return {name: getattr(body, name) for name in body.model_fields_set - _ENVELOPE}
