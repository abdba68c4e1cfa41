"""What this service hears of its requests, and the documents that its decisions read."""

from chassis.documents import Reference
from chassis.stream import Meta, Stream
from contracts import workflow
from intake.deciders import SUBMISSIONS
from intake.domain import messages, records

stream = Stream(into=SUBMISSIONS)

references = (
    Reference.of(workflow.CurrentQueue, records.CurrentQueue, cached=True),
    Reference.of(workflow.QueueDefinition, records.Definition, cached=True),
    Reference.of(workflow.Person, records.Person, cached=True),
    Reference.of(workflow.Team, records.Team, cached=True),
)


@stream.on(workflow.RequestOpened)
def opened(event: workflow.RequestOpened, meta: Meta) -> messages.NoteStatus:
    return messages.NoteStatus(event.state, event.stage)


@stream.on(workflow.StageChanged)
def moved(event: workflow.StageChanged, meta: Meta) -> messages.NoteStatus:
    return messages.NoteStatus(event.state, event.to_stage)


@stream.on(workflow.RequestClosed)
def closed(event: workflow.RequestClosed, meta: Meta) -> messages.NoteStatus:
    return messages.NoteStatus("closed", outcome=event.outcome)


@stream.on(workflow.RequestReopened)
def reopened(event: workflow.RequestReopened, meta: Meta) -> messages.NoteStatus:
    return messages.NoteStatus("in-progress", event.to_stage)


@stream.on(workflow.RequestRejected)
def rejected(event: workflow.RequestRejected, meta: Meta) -> messages.NoteStatus:
    return messages.NoteStatus("rejected", outcome=event.reason, detail=event.detail)
