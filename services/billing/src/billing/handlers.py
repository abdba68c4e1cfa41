"""What this service hears, and which message of its domain each becomes."""

from billing.deciders import ACCOUNTS
from billing.domain import messages, records
from chassis.documents import Reference
from chassis.stream import Meta, Stream
from contracts import intake, workflow

stream = Stream(into=ACCOUNTS)

references = (
    Reference.of(workflow.Person, records.Person, cached=True),
    Reference.of(intake.Contact, records.Contact, cached=False),
)


@stream.on(workflow.RequestOpened)
def opened(event: workflow.RequestOpened, meta: Meta) -> messages.Open:
    return messages.Open(event.contact_id, event.number)


@stream.on(workflow.RequestClosed)
def closed(event: workflow.RequestClosed, meta: Meta) -> messages.Close:
    return messages.Close(
        close_no=event.close_no,
        outcome=event.outcome,
        charge_revision=event.charge_revision,
        contact_id=event.contact_id,
        number=event.number,
        history=event.mode == "history" or meta.history,
    )


@stream.on(workflow.RequestReopened)
def reopened(event: workflow.RequestReopened, meta: Meta) -> messages.Reopen:
    return messages.Reopen(event.close_no)
