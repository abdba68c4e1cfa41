"""The aggregates of this service: the rules with their table, their rows and their answer."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.aggregate import Aggregate, Child
from workflow import events, tables
from workflow.domain import facts, fold, lifecycle, opening, recovery, sla
from workflow.domain import people as people_rules
from workflow.domain import queues as queue_rules
from workflow.domain import teams as team_rules
from workflow.domain.queues import Queue
from workflow.domain.records import Person, Team
from workflow.domain.state import ServiceRequest
from workflow.schemas import catalogue, requests

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)


def columns(request: ServiceRequest) -> dict[str, Any]:
    """What lists look for."""
    due_at = sla.due(request.clock)
    return {
        "number": request.number,
        "contact_id": request.contact_id,
        "organisation_id": request.organisation_id,
        "queue": request.queue,
        "stage": request.stage,
        "owner_id": request.owner_id,
        "team_id": request.team_id,
        "priority": request.priority,
        "received_at": request.received_at,
        "due_at": due_at,
        "rank_at": due_at or END_OF_TIME,
        "closed_at": request.closing.closed_at if request.closing else None,
    }


def children(request_id: UUID, request: ServiceRequest, fact: Any, now: datetime) -> Iterator[Child]:
    """Notes and messages."""
    match fact:
        case facts.NoteAdded():
            yield Child(
                tables.notes,
                {
                    "note_id": fact.note_id,
                    "request_id": request_id,
                    "note_no": fact.note_no,
                    "text": fact.text,
                    "author_kind": fact.by.kind,
                    "author_id": fact.by.id,
                    "written_at": fact.at,
                },
            )
        case facts.MessagePosted():
            yield Child(
                tables.messages,
                {
                    "message_id": fact.message_id,
                    "request_id": request_id,
                    "text": fact.text,
                    "author_kind": fact.by.kind,
                    "author_id": fact.by.id,
                    "from_staff": fact.from_staff,
                    "posted_at": fact.at,
                },
            )


REQUESTS: Aggregate[ServiceRequest] = Aggregate(
    name="requests",
    table=tables.requests,
    state=ServiceRequest,
    shape=1,
    codec=events.REQUESTS,
    decide=lifecycle.decide,
    evolve=fold.evolve,
    agenda=lifecycle.agenda,
    answer=requests.answer,
    columns=columns,
    children=children,
    persons=lambda request: (request.contact_id,),
    in_vain=opening.in_vain,
    edits=events.EDITS,
    complete=recovery.complete,
)
PEOPLE: Aggregate[Person] = Aggregate(
    name="people",
    table=tables.people,
    state=Person,
    shape=1,
    codec=events.PEOPLE,
    decide=people_rules.decide,
    evolve=people_rules.evolve,
    claims=people_rules.claims,
    answer=catalogue.person_answer,
    columns=lambda person: {"login": person.login, "active": person.active},
    persons=lambda person: (person.person_id,),
    edits=frozenset({Person}),
)
TEAMS: Aggregate[Team] = Aggregate(
    name="teams",
    table=tables.teams,
    state=Team,
    shape=1,
    codec=events.TEAMS,
    decide=team_rules.decide,
    evolve=team_rules.evolve,
    claims=team_rules.claims,
    answer=catalogue.team_answer,
    columns=lambda team: {"name": team.name},
    edits=frozenset({Team}),
)
QUEUES: Aggregate[Queue] = Aggregate(
    name="queues",
    table=tables.queues,
    state=Queue,
    shape=1,
    codec=events.QUEUES,
    decide=queue_rules.decide,
    evolve=queue_rules.evolve,
    answer=catalogue.queue_answer,
    columns=lambda queue: {"queue": queue.queue},
    edits=frozenset(queue_rules.FACTS),
    subject_of=lambda fact: queue_rules.subject_of(fact.queue),
)
