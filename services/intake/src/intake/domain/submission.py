"""A request comes in: what is complete, what is allowed, and where workflow says it stands since."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Known, Recalled, changed
from intake.domain import access, limits, numbering, refusals, times
from intake.domain.facts import By, RequestSubmitted, StatusNoted
from intake.domain.messages import NoteStatus, Submit
from intake.domain.records import LEVELS, CurrentQueue
from intake.domain.state import Submission

MEDIUM = "medium"
SUBMITTED = "submitted"
MODES = ("live", "history")

Fact = RequestSubmitted | StatusNoted


def decide(
    state: Submission | None,
    message: Submit | NoteStatus,
    now: datetime,
    known: Known,
    scheme: numbering.Scheme,
) -> Sequence[Fact]:
    """What follows from a message; numbers are written as `scheme` says."""
    if isinstance(message, Submit):
        return [submit(state, message, now, known, scheme)]
    return note(state, message)


def submit(
    state: Submission | None, message: Submit, now: datetime, known: Known, scheme: numbering.Scheme
) -> RequestSubmitted:
    """A request of this id comes in once; it takes the queue's current version, a number, and an owner."""
    if state is not None:
        raise refusals.AlreadySubmitted(f"this request is {state.number}", number=state.number)
    check_rights(message)
    check_fields(message, now)
    history = message.mode == "history"
    received_at = message.received_at or message.effective_at
    when = times.settle(message.occurred_at, received_at, now)
    times.require_right_to_backdate(message.actor, when.received_at, now, history=history)
    contact = known.get("contacts", message.contact_id)
    if contact is None:
        raise refusals.ContactNotKnown(f"contact {message.contact_id} is not known")
    if contact.erased:
        raise refusals.ContactErased("this contact was erased")
    queue = known.get("current-queue", message.queue)
    if queue is None:
        raise refusals.QueueNotKnown(f"queue {message.queue} is not known")
    check_priority(message.priority, queue, known)
    check_free(message, known)
    owner_id, team_id = ownership(message, known)
    return RequestSubmitted(
        number=scheme.write(known.number(numbering.SERIES), now),
        contact_id=message.contact_id,
        organisation_id=contact.organisation_id,
        queue=queue.queue,
        queue_version=queue.version,
        summary=message.summary.strip(),
        description=message.description,
        impact=message.impact or MEDIUM,
        urgency=message.urgency or MEDIUM,
        priority=message.priority,
        category=message.category,
        occurred_at=when.occurred_at,
        received_at=when.received_at,
        channel=channel(message),
        submitted_by=By(message.actor.kind, message.actor.id),
        owner_id=owner_id,
        team_id=team_id,
        custom=message.custom or {},
        external_reference=message.external_reference,
        stage=message.stage,
        mode=message.mode,
        client=message.client,
    )


def check_rights(message: Submit) -> None:
    """A contact submits for itself and leaves the desk's fields alone; stages and history need rights."""
    actor = message.actor
    if access.is_contact(actor):
        if not access.owns(actor, message.contact_id):
            raise refusals.NotYourContact("a contact submits for itself alone")
        given = [name for name in ("priority", "owner_id", "team_id", "external_reference") if getattr(message, name)]
        if given:
            raise refusals.FieldNotAllowed(f"a contact does not set {', '.join(given)}", fields=given)
    if message.mode == "history":
        access.require(actor, access.HISTORY)
    elif message.stage is not None:
        access.require(actor, access.PLACE)


def check_fields(message: Submit, now: datetime) -> None:
    """Every field inside its bounds; all problems are named at once."""
    received_at = message.received_at or message.effective_at
    found = [
        *limits.text("/summary", message.summary, limits.SUMMARY, required=True),
        *limits.text("/description", message.description, limits.DESCRIPTION),
        *limits.text("/category", message.category, limits.CATEGORY),
        *limits.text("/external_reference", message.external_reference, limits.REFERENCE),
        *limits.text("/stage", message.stage, limits.NAME),
        *limits.word("/impact", message.impact),
        *limits.word("/urgency", message.urgency),
        *limits.word("/priority", message.priority),
        *limits.custom("/custom", message.custom),
        *times.problems(message.occurred_at, received_at, now),
    ]
    if message.mode not in MODES:
        found.append(("/mode", "live or history"))
    if found:
        raise refusals.Invalid("some fields cannot be accepted", dict(found))


def check_priority(priority: str | None, queue: CurrentQueue, known: Known) -> None:
    """A priority is one of the queue's, where its definition has come here; a misspelt one would have no clock."""
    if priority is None or priority in LEVELS:
        return
    definition = known.get("queue", f"{queue.queue}@{queue.version}")
    if definition is not None and not definition.names_priority(priority):
        raise refusals.PriorityNotKnown(f"{queue.queue} has no priority {priority}")


def ownership(message: Submit, known: Known) -> tuple[UUID | None, UUID | None]:
    """Owner and team as given and known; with neither, the agent who creates owns it (S33)."""
    if message.owner_id is None and message.team_id is None:
        return (message.actor.id if message.actor.kind == "person" else None), None
    if message.owner_id is not None and not known.require("person", message.owner_id).active:
        raise refusals.Invalid("some fields cannot be accepted", {"/owner_id": "does not work here any more"})
    if message.team_id is not None:
        known.require("team", message.team_id)
    return message.owner_id, message.team_id


def check_free(message: Submit, known: Known) -> None:
    """A client's reference names one request."""
    claim = reference_claim(message.client, message.external_reference)
    holder = known.holder(claim) if claim else None
    if holder is not None:
        raise refusals.ExternalReferenceTaken(
            f"{message.external_reference} is the reference of another request", request_id=str(holder)
        )


def channel(message: Submit) -> str:
    """Through which door it came."""
    if message.mode == "history":
        return "import"
    return {"contact": "portal", "person": "agent"}.get(message.actor.kind, "api")


def note(state: Submission | None, message: NoteStatus) -> list[Fact]:
    """Where the request stands, if that is news."""
    if state is None:
        raise refusals.RequestNotKnown("no such request was submitted here")
    fact = StatusNoted(message.status, message.stage or state.stage, message.outcome, message.detail)
    known_already = (state.status, state.stage, state.outcome, state.detail)
    return [] if (fact.status, fact.stage, fact.outcome, fact.detail) == known_already else [fact]


def evolve(state: Submission | None, fact: Fact) -> Submission:
    """The submission after a fact."""
    if isinstance(fact, RequestSubmitted):
        return _submitted(fact)
    assert state is not None, "a status is noted of a submission"
    return changed(state, status=fact.status, stage=fact.stage, outcome=fact.outcome, detail=fact.detail)


def _submitted(fact: RequestSubmitted) -> Submission:
    kept: dict[str, Any] = {
        name: getattr(fact, name)
        for name in Submission.__dataclass_fields__
        if name not in {"status", "outcome", "detail"}
    }
    return Submission(status=SUBMITTED, **kept)


def reference_claim(client: str | None, reference: str | None) -> str | None:
    """The claim that keeps a reference unique per client; the staff's own references are one name space."""
    return f"reference:{client or ''}:{reference}" if reference else None


def claims(state: Submission) -> list[str]:
    """What no other submission may hold."""
    claim = reference_claim(state.client, state.external_reference)
    return [claim] if claim else []


def numbers(message: object) -> tuple[str, ...]:
    """A submission needs a number."""
    return (numbering.SERIES,) if isinstance(message, Submit) else ()


def complete(state: Submission | None, fact: Fact, recalled: Recalled) -> Fact:
    """A fact read back from its topic, with the client that keeps its reference unique, where that is known."""
    return changed(fact, client=recalled.client) if isinstance(fact, RequestSubmitted) else fact


def drawn(fact: Fact, scheme: numbering.Scheme) -> list[tuple[str, int]]:
    """The number that a submission has used up."""
    number = scheme.read(fact.number) if isinstance(fact, RequestSubmitted) else None
    return [] if number is None else [(numbering.SERIES, number)]


def refs(message: object) -> list[tuple[str, str]]:
    """Contacts of this service, and documents, that a decision on this message reads."""
    if not isinstance(message, Submit):
        return []
    found = [("contacts", str(message.contact_id)), ("current-queue", message.queue)]
    if message.owner_id is not None:
        found.append(("person", str(message.owner_id)))
    if message.team_id is not None:
        found.append(("team", str(message.team_id)))
    return found


def persons(state: Submission) -> list[UUID]:
    """Whose personal data the request holds."""
    by = state.submitted_by
    return [state.contact_id, *([by.id] if by.id and by.id != state.contact_id else [])]
