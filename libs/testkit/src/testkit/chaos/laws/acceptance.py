"""I1 and I2: what was accepted is there, once; what nobody answered once or not at all; nothing comes from nothing."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from cli.reconcile.heard import Heard
from testkit.chaos.archive import SUBMITTED
from testkit.chaos.evidence import Evidence, per_request
from testkit.chaos.operations import marker_of

Broken = tuple[str, str, str]

_KNOWN = ("workflow.request-opened", "workflow.request-rejected")
_ACTS = {
    "billing.charge-logged": "charge",
    "workflow.note-added": "note",
    "workflow.message-posted": "message",
    "workflow.wait-began": "wait",
    "workflow.request-closed": "close",
    "workflow.request-reopened": "reopen",
    "workflow.transition-requested": "progress",
    "approvals.vote-cast": "vote",
}
_MOVED = "workflow.stage-changed"
_MOVES = frozenset({"progress", "regress"})
ACTS = frozenset(_ACTS.values()) | _MOVES
"""Operations of which each makes exactly one fact, and that fact is made by nothing else."""


def act_of(fact: Heard) -> str | None:
    """The operation that made a fact, if it is one of `ACTS`.

    A progress moves the request or asks for an approval; a move that carries out an approval was made by a vote.
    """
    if fact.type != _MOVED:
        return _ACTS.get(fact.type)
    move = fact.data.get("direction") or fact.data.get("move")  # as the next release of `testkit.upgrade` calls it
    return move if move in _MOVES and fact.data.get("transition_id") is None else None


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
    """Per request and kind of act: as many facts as were answered ok, at most those of unknown outcome more.

    Nothing else acts on requests: where nobody asked there is no fact.
    """
    known, possible = Counter[tuple[str, UUID]](), Counter[tuple[str, UUID]]()
    for key, what, subject, outcome in {(o.key, o.what, o.subject, o.outcome) for o in evidence.operations.all}:
        if what in ACTS and subject is not None and key:
            known[what, subject] += outcome == "ok"
            possible[what, subject] += outcome == "unknown"
    made = ((act_of(fact), fact.subject) for fact in {f.id: f for f in evidence.facts}.values())
    facts = Counter((act, subject) for act, subject in made if act is not None)
    for what, subject in known.keys() | possible.keys() | facts.keys():
        n, least = facts[what, subject], known[what, subject]
        most = least + possible[what, subject]
        if n < least:
            yield "act-lost", f"{what} {subject}", f"{least} answered ok, {n} facts"
        if n > most:
            name = "act-repeated" if most else "act-unasked"
            yield name, f"{what} {subject}", f"{least} ok and {most - least} unknown, {n} facts"


def grants_move_once(evidence: Evidence) -> Iterator[Broken]:
    """What was approved is carried out once at the most."""
    moves = {fact.id: fact for fact in evidence.facts if fact.type == _MOVED and fact.data.get("transition_id")}
    for (subject, transition), n in Counter((f.subject, f.data["transition_id"]) for f in moves.values()).items():
        if n > 1:
            yield "moved-twice", str(subject), f"{n} moves of the transition {transition}"


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
