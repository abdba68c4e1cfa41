"""What this service hears, and which message of its domain each becomes."""

from chassis.decision import Actor
from chassis.documents import Reference
from chassis.stream import Meta, Stream
from contracts import approvals, billing, intake, workflow
from workflow.deciders import REQUESTS
from workflow.domain import messages, records

stream = Stream(into=REQUESTS)

references = (
    Reference.of(workflow.QueueDefinition, records.Definition, cached=True),
    Reference.of(workflow.Person, records.Person, cached=True),
    Reference.of(workflow.Team, records.Team, cached=True),
    Reference.of(intake.Contact, records.Contact, cached=False),
    Reference.of(intake.Organisation, records.Organisation, cached=False),
)


@stream.on(intake.RequestSubmitted)
def submitted(event: intake.RequestSubmitted, meta: Meta) -> messages.Open:
    return messages.Open(
        number=event.number,
        contact_id=event.contact_id,
        organisation_id=event.organisation_id,
        queue=event.queue,
        queue_version=event.queue_version,
        summary=event.summary,
        description=event.description,
        impact=event.impact,
        urgency=event.urgency,
        priority=event.priority,
        category=event.category,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        channel=event.channel,
        submitted_by=Actor(event.submitted_by.kind, event.submitted_by.id),
        owner_id=event.owner_id,
        team_id=event.team_id,
        custom=event.custom,
        external_reference=event.external_reference,
        stage=event.stage,
        mode=event.mode,
    )


@stream.on(approvals.ApprovalRequested)
def asked(event: approvals.ApprovalRequested, meta: Meta) -> messages.ApprovalAsked:
    return messages.ApprovalAsked(event.approval_id, event.transition_id)


@stream.on(approvals.ApprovalSettled)
def settled(event: approvals.ApprovalSettled, meta: Meta) -> messages.ApprovalSettled:
    return messages.ApprovalSettled(
        event.approval_id, event.transition_id, event.outcome, event.content_hash, event.visit_no
    )


@stream.on(billing.ChargeLogged)
def charge_logged(event: billing.ChargeLogged, meta: Meta) -> messages.ChargesChanged:
    return messages.ChargesChanged(event.revision)


@stream.on(billing.ChargeRemoved)
def charge_removed(event: billing.ChargeRemoved, meta: Meta) -> messages.ChargesChanged:
    return messages.ChargesChanged(event.revision)


@stream.on(billing.InvoiceIssued)
def invoiced(event: billing.InvoiceIssued, meta: Meta) -> messages.InvoiceIssued:
    return messages.InvoiceIssued(event.number, event.close_no)
