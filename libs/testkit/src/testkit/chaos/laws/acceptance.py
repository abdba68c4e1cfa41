"""I1 and I2: what was accepted is there, once; what nobody answered once or not at all; nothing comes from nothing."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from testkit.chaos.archive import SUBMITTED
from testkit.chaos.evidence import Evidence, per_request
from testkit.chaos.operations import marker_of

Broken = tuple[str, str, str]

_KNOWN = ("workflow.request-opened", "workflow.request-rejected")
ACTS = {
    "charge": "billing.charge-logged",
    "note": "workflow.note-added",
    "message": "workflow.message-posted",
    "wait": "workflow.wait-began",
    "close": "workflow.request-closed",
    "reopen": "workflow.request-reopened",
    "vote": "approvals.vote-cast",
}
"""Operations of which each makes exactly one fact, and that fact is made by nothing else."""


def _subjects(evidence: Evidence, *types: str) -> set[UUID]:
    return {fact.subject for fact in evidence.facts if fact.type in types}


def accepted_is_there(evidence: Evidence) -> Iterator[Broken]:
    """A request answered 2xx is in intake, on the topic and in workflow; so is every position that was answered."""
    on_topic, known = _subjects(evidence, SUBMITTED), _subjects(evidence, *_KNOWN)
    rows = evidence.shelves["intake"].of(per_request("intake").name)
    for operation in evidence.operations.submissions("ok"):
        subject = operation.subject
        if subject not in rows:
            yield "lost-in-intake", str(subject), f"accepted under {operation.key}, no row"
        elif subject not in on_topic:
            yield "lost-on-topic", str(subject), f"accepted under {operation.key}, not on intake.requests"
        elif subject not in known:
            yield "lost-in-workflow", str(subject), f"accepted under {operation.key}, neither opened nor rejected"
    highest: dict[tuple[str, UUID], int] = {}
    for fact in evidence.facts:
        place = fact.topic, fact.subject
        highest[place] = max(fact.sequence, highest.get(place, 0))
    for operation in evidence.operations.all:
        if operation.position is not None:
            topic, subject, sequence = operation.position
            if highest.get((topic, subject), 0) < sequence:
                yield "lost-position", f"{topic}/{subject}", f"{operation.what} {operation.key} answered {sequence}"


def unknown_at_most_once(evidence: Evidence) -> Iterator[Broken]:
    """Whatever became of the answers, one intention made at most one request, and a refused one none."""
    made = {(fact.subject, marker_of(fact.data.get("summary"))) for fact in evidence.facts if fact.type == SUBMITTED}
    times = Counter(marker for _, marker in made)
    for marker, n in times.items():
        if marker and n > 1:
            yield "made-twice", marker, f"{n} requests of one intention"
    accepted = {each.marker for outcome in ("ok", "unknown") for each in evidence.operations.submissions(outcome)}
    for operation in evidence.operations.submissions("refused"):
        if operation.marker not in accepted and times[operation.marker]:
            yield "made-though-refused", operation.marker, f"refused {operation.slug} under {operation.key}"


def acts_happen_once(evidence: Evidence) -> Iterator[Broken]:
    """Per request and kind of act: as many facts as were answered ok, at most those of unknown outcome more."""
    known, possible = Counter[tuple[str, UUID]](), Counter[tuple[str, UUID]]()
    for key, what, subject, outcome in {(o.key, o.what, o.subject, o.outcome) for o in evidence.operations.all}:
        if what in ACTS and subject is not None and key:
            known[what, subject] += outcome == "ok"
            possible[what, subject] += outcome == "unknown"
    facts = Counter((fact.type, fact.subject) for fact in {f.id: f for f in evidence.facts}.values())
    for what, subject in known.keys() | possible.keys():
        n, least = facts[ACTS[what], subject], known[what, subject]
        most = least + possible[what, subject]
        if n < least:
            yield "act-lost", f"{what} {subject}", f"{least} answered ok, {n} facts"
        if n > most:
            yield "act-repeated", f"{what} {subject}", f"{least} ok and {most - least} unknown, {n} facts"


def no_error_of_ours(evidence: Evidence) -> Iterator[Broken]:
    """Whatever fails around it, no door answers 500: it says 503, or does not answer."""
    for operation in evidence.operations.all:
        if operation.status == 500:
            yield "answered-500", f"{operation.what} {operation.subject or operation.marker}", operation.key


def nothing_from_nothing(evidence: Evidence) -> Iterator[Broken]:
    """Facts and rows of every service are about requests that intake has."""
    rows = evidence.shelves["intake"].of(per_request("intake").name)
    seen: set[tuple[str, UUID]] = set()
    for fact in evidence.facts:
        place = fact.topic, fact.subject
        if fact.subject not in rows and place not in seen:
            seen.add(place)
            yield "fact-about-nothing", f"{fact.topic}/{fact.subject}", f"{fact.type} {fact.id}"
    for name, shelf in evidence.shelves.items():
        for subject in shelf.of(per_request(name).name):
            if subject not in rows:
                yield "row-about-nothing", f"{name}/{subject}", "intake has no such request"
