"""The aggregates of this service: the rules with their tables, their rows and their answers."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from chassis.aggregate import Aggregate, Child
from intake import events, schemas, tables
from intake.domain import contact, organisation, submission
from intake.domain.facts import ContactErased, ContactRecorded, OrganisationRecorded, RequestSubmitted
from intake.domain.numbering import Scheme
from intake.domain.state import Contact, Organisation, Submission


def _contents(request_id: UUID, state: Submission, fact: Any, now: datetime) -> Iterator[Child]:
    if isinstance(fact, RequestSubmitted):
        row = {"id": request_id, "description": fact.description, "custom": fact.custom}
        yield Child(tables.submission_contents, row)


def _submission_columns(state: Submission) -> dict[str, Any]:
    return {
        "number": state.number,
        "contact_id": state.contact_id,
        "organisation_id": state.organisation_id,
        "submitted_by": state.submitted_by.id,
    }


def _contact_columns(state: Contact) -> dict[str, Any]:
    return {
        "name": state.name,
        "email": state.email,
        "organisation_id": state.organisation_id,
        "erased": state.erased,
    }


def submissions(scheme: Scheme) -> Aggregate[Submission]:
    """Requests as they come in, numbered by `scheme`."""
    return Aggregate(
        name="submissions",
        table=tables.submissions,
        state=Submission,
        shape=1,
        codec=events.REQUESTS,
        decide=partial(submission.decide, scheme=scheme),
        evolve=submission.evolve,
        answer=schemas.submitted,
        claims=submission.claims,
        columns=_submission_columns,
        children=_contents,
        persons=submission.persons,
        refs=submission.refs,
        numbers=submission.numbers,
        complete=submission.complete,
        drawn=partial(submission.drawn, scheme=scheme),
    )


SUBMISSIONS = submissions(Scheme())

CONTACTS: Aggregate[Contact] = Aggregate(
    name="contacts",
    table=tables.contacts,
    state=Contact,
    shape=1,
    codec=events.CONTACTS,
    decide=contact.decide,
    evolve=contact.evolve,
    answer=schemas.contact_answer,
    claims=contact.claims,
    columns=_contact_columns,
    persons=contact.persons,
    refs=contact.refs,
    edits=frozenset({ContactRecorded, ContactErased}),
)

ORGANISATIONS: Aggregate[Organisation] = Aggregate(
    name="organisations",
    table=tables.organisations,
    state=Organisation,
    shape=1,
    codec=events.ORGANISATIONS,
    decide=organisation.decide,
    evolve=organisation.evolve,
    answer=schemas.organisation_answer,
    columns=lambda state: {"name": state.name, "share_requests": state.share_requests},
    edits=frozenset({OrganisationRecorded}),
)
