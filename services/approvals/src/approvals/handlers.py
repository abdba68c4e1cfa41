"""What this service hears, and which message of its domain each becomes."""

from approvals.deciders import APPROVAL_FILES
from approvals.domain import messages, records
from chassis.documents import Reference
from chassis.stream import Meta, Stream
from contracts import intake, workflow

stream = Stream(into=APPROVAL_FILES)

references = (
    Reference.of(workflow.Person, records.Person, cached=True),
    Reference.of(intake.Contact, records.Contact, cached=False),
)


@stream.on(workflow.RequestOpened)
def opened(event: workflow.RequestOpened, meta: Meta) -> messages.Open:
    return messages.Open(event.contact_id)


@stream.on(workflow.TransitionRequested)
def requested(event: workflow.TransitionRequested, meta: Meta) -> messages.Ask:
    return messages.Ask(
        transition_id=event.transition_id,
        from_stage=event.from_stage,
        to_stage=event.to_stage,
        visit_no=event.visit_no,
        content_hash=event.content_hash,
        policy=messages.Policy(event.policy.kind, event.policy.k),
        approvers=event.approvers,
        number=event.number,
        summary=event.summary,
        asked_by=event.asked_by.id,
        due_at=event.due_at,
    )


@stream.on(workflow.TransitionWithdrawn)
def withdrawn(event: workflow.TransitionWithdrawn, meta: Meta) -> messages.Withdraw:
    return messages.Withdraw(event.transition_id, event.cause)


@stream.on(workflow.StageChanged)
def stage_changed(event: workflow.StageChanged, meta: Meta) -> messages.WithdrawAll:
    if event.state == "closed":
        return messages.WithdrawAll("closed")
    return messages.WithdrawAll("regressed" if event.direction == "regress" else "superseded")


@stream.on(workflow.RequestClosed)
def closed(event: workflow.RequestClosed, meta: Meta) -> messages.WithdrawAll:
    return messages.WithdrawAll("closed")
