"""What this service hears: which event becomes which message of a thread."""

from chassis.documents import Reference
from chassis.stream import Meta, Stream
from contracts import approvals, intake, workflow
from notifications.deciders import THREADS
from notifications.domain import messages, records

CUSTOMER = "customer"

stream = Stream(into=THREADS)

references = (
    Reference.of(intake.Contact, records.Contact, cached=False),
    Reference.of(workflow.Person, records.Person, cached=True),
    Reference.of(workflow.Team, records.Team, cached=True),
)


def _cause(meta: Meta) -> messages.Cause:
    """What is told. A fact sent again from before this service's time counts as told already: position -1."""
    return messages.Cause(
        meta.id, meta.topic, -1 if meta.history else meta.sequence, meta.redelivered and not meta.history
    )


@stream.on(workflow.RequestOpened)
def opened(event: workflow.RequestOpened, meta: Meta) -> messages.Open:
    live = event.mode != "history"
    return messages.Open(
        _cause(meta), event.number, event.contact_id, event.summary, event.owner_id, event.team_id, live
    )


@stream.on(workflow.WentLive)
def went_live(event: workflow.WentLive, meta: Meta) -> messages.GoLive:
    return messages.GoLive()


@stream.on(workflow.OwnerAssigned)
def assigned(event: workflow.OwnerAssigned, meta: Meta) -> messages.Assign:
    return messages.Assign(event.owner_id, event.team_id)


@stream.on(workflow.RequestEdited)
def edited(event: workflow.RequestEdited, meta: Meta) -> messages.Rename | None:
    return messages.Rename(event.summary) if "summary" in event.fields else None


@stream.on(workflow.WaitBegan)
def waiting(event: workflow.WaitBegan, meta: Meta) -> messages.TellWaiting | None:
    return messages.TellWaiting(_cause(meta), event.reason) if event.waiting_for == CUSTOMER else None


@stream.on(workflow.SlaBreached)
def breached(event: workflow.SlaBreached, meta: Meta) -> messages.TellBreached:
    return messages.TellBreached(_cause(meta), event.due_at, event.overdue_seconds)


@stream.on(workflow.MessagePosted)
def posted(event: workflow.MessagePosted, meta: Meta) -> messages.TellPosted | None:
    return messages.TellPosted(_cause(meta), event.text) if event.from_staff else None


@stream.on(workflow.RequestClosed)
def closed(event: workflow.RequestClosed, meta: Meta) -> messages.TellClosed:
    return messages.TellClosed(_cause(meta), event.outcome)


@stream.on(approvals.ApprovalRequested)
def approval_asked(event: approvals.ApprovalRequested, meta: Meta) -> messages.TellApprovers:
    return messages.TellApprovers(_cause(meta), event.approvers, event.due_at)
