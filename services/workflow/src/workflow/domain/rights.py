"""Who may do what with a request: plain predicates (S34, S35); the lists of `store.py` are tested to agree."""

from uuid import UUID

from chassis.decision import Actor, Known
from workflow.domain.records import Person, Stage
from workflow.domain.refusals import AlreadyClosed, NotToBeSeen, NotYours, SubmissionRejected
from workflow.domain.state import REJECTED, ServiceRequest

PERSON, CONTACT, CLIENT, SYSTEM = "person", "contact", "client", "system"
NOT_HERE = "no such request was opened here"
SEES_ALL = frozenset({"owner", "admin"})


def person_of(actor: Actor, known: Known) -> Person | None:
    """The active member of the staff who acts, if it is one."""
    if actor.kind != PERSON or actor.id is None:
        return None
    person: Person | None = known.get("person", actor.id)
    return person if person is not None and person.active else None


def holds_owner_role(person: Person) -> bool:
    """Whether the person works with every request."""
    return not SEES_ALL.isdisjoint(person.roles)


def is_system(actor: Actor) -> bool:
    """This system itself, or another company's that acts for nobody: bound by its registration alone."""
    return actor.kind in (SYSTEM, CLIENT)


def may_edit(actor: Actor, person: Person | None, request: ServiceRequest) -> bool:
    """The owner, and whoever holds the Owner role (S34)."""
    if is_system(actor):
        return True
    return person is not None and (request.owner_id == person.person_id or holds_owner_role(person))


def in_team(person: Person | None, request: ServiceRequest) -> bool:
    """Whether the request is assigned to a team of this person."""
    return person is not None and request.team_id is not None and request.team_id in person.teams


def may_view(actor: Actor, person: Person | None, request: ServiceRequest, organisation_id: UUID | None) -> bool:
    """Who works with it, and its contact; other contacts of an organisation that shares its requests (S35, S101).

    `organisation_id` is the viewing contact's, when it shares.
    """
    if actor.kind == CONTACT and organisation_id is not None and request.organisation_id == organisation_id:
        return True
    return may_note(actor, person, request) or is_its_contact(actor, request)


def may_note(actor: Actor, person: Person | None, request: ServiceRequest) -> bool:
    """Those who may edit, and members of the assigned team (S35, S45)."""
    return may_edit(actor, person, request) or in_team(person, request)


def may_take_over(person: Person | None, request: ServiceRequest) -> bool:
    """Members of the assigned team, and whoever holds the Owner role (S35)."""
    return person is not None and (in_team(person, request) or holds_owner_role(person))


def is_its_contact(actor: Actor, request: ServiceRequest) -> bool:
    """Whether the request is this contact's own."""
    return actor.kind == CONTACT and actor.id == request.contact_id


def may_complete(actor: Actor, person: Person | None, request: ServiceRequest, stage: Stage) -> bool:
    """Those who may edit; and the contact where the step is the client's (S2)."""
    if may_edit(actor, person, request):
        return True
    return stage.assignee == "client" and is_its_contact(actor, request)


def need_sight(actor: Actor, known: Known, request: ServiceRequest) -> None:
    """Refuse who may not even see it, in the words for what is not here."""
    if not may_view(actor, person_of(actor, known), request, _shared_organisation(actor, known)):
        raise NotToBeSeen(NOT_HERE)


def _shared_organisation(actor: Actor, known: Known) -> UUID | None:
    """The contact's organisation, when its contacts see each other's requests."""
    contact = known.get("contact", actor.id) if actor.kind == CONTACT else None
    if contact is None or contact.organisation_id is None:
        return None
    organisation = known.get("organisation", contact.organisation_id)
    shares = organisation is not None and organisation.share_requests
    return contact.organisation_id if shares else None


def need_edit(actor: Actor, known: Known, request: ServiceRequest) -> None:
    """Refuse unless the actor may edit."""
    if not may_edit(actor, person_of(actor, known), request):
        raise NotYours("only its owner or a holder of the Owner role may do this")


def need_open(request: ServiceRequest) -> None:
    """Refuse what only an open request can take."""
    need_accepted(request)
    if request.is_closed:
        raise AlreadyClosed("the request is closed")


def need_accepted(request: ServiceRequest) -> None:
    """Refuse everything about a submission that was never opened."""
    if request.state == REJECTED:
        raise SubmissionRejected("the submission could not be opened")
