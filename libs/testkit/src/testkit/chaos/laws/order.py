"""I8 and I11: numbers without gaps, everything published, everybody has heard all of it, and nothing is left over."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence, heard_by, per_request

Broken = tuple[str, str, str]


def no_gaps(evidence: Evidence) -> Iterator[Broken]:
    """First occurrences per (topic, request) are exactly 1..n, in this order; a repeat is the same fact again."""
    last: dict[tuple[str, UUID], int] = {}
    known: dict[tuple[str, UUID, int], Heard] = {}
    for fact in evidence.facts:
        place = fact.topic, fact.subject
        at = f"{fact.topic}/{fact.subject}"
        if fact.sequence > last.get(place, 0) + 1:
            yield "gap", at, f"{last.get(place, 0)} then {fact.sequence}"
        first = known.setdefault((*place, fact.sequence), fact)
        if first.id != fact.id:
            yield "number-used-twice", at, f"{fact.sequence} is {first.id} and {fact.id}"
        elif (first.type, first.time, first.data) != (fact.type, fact.time, fact.data):
            yield "told-otherwise", at, f"{fact.sequence} {fact.id} was {first.type} {first.data!s:.200}"
        last[place] = max(fact.sequence, last.get(place, 0))


def told_is_published(evidence: Evidence) -> Iterator[Broken]:
    """What a journal tells on a stream is on that stream, and nothing else is."""
    published = {fact.id for fact in evidence.facts}
    stated: set[UUID] = set()
    for name, shelf in evidence.shelves.items():
        told = per_request_topic(name)
        for entry in shelf.journal:
            stated.add(entry.event_id)
            if entry.topic == told and entry.event_id not in published:
                yield "never-published", f"{entry.topic}/{entry.subject}", f"{entry.type} {entry.event_id}"
    for fact in evidence.facts:
        if fact.id not in stated:
            yield "published-from-nowhere", f"{fact.topic}/{fact.subject}", f"{fact.type} {fact.id}"


def per_request_topic(name: str) -> str:
    """The stream that a service tells on."""
    return next(kind.topic for kind in per_request(name).codec.kinds if kind.topic)


def heard_is_told(evidence: Evidence) -> Iterator[Broken]:
    """Each service's position of each request is the last number that the owner gave."""
    told = {
        per_request_topic(name): {row.subject: row.sequence for row in shelf.of(per_request(name).name).values()}
        for name, shelf in evidence.shelves.items()
    }
    for name, shelf in evidence.shelves.items():
        rows = shelf.of(per_request(name).name)
        for topic in heard_by(name):
            for subject, sequence in told.get(topic, {}).items():
                heard = rows[subject].heard.get(topic, 0) if subject in rows else 0
                if heard != sequence:
                    yield "not-heard", f"{name} {topic}/{subject}", f"heard {heard}, told {sequence}"


def event_ids_are_unique(evidence: Evidence) -> Iterator[Broken]:
    """No fact is stated twice: ids are made from the message, so a message decided twice would show here.

    A command that is delivered again is answered again, under the same id with the same words.
    """
    for name, shelf in evidence.shelves.items():
        answers: dict[UUID, str] = {}
        for entry in shelf.journal:
            if entry.answer is not None and answers.setdefault(entry.event_id, entry.answer) != entry.answer:
                yield "answered-otherwise", f"{name} {entry.event_id}", f"first {answers[entry.event_id]:.200}"
        for identifier, times in Counter(e.event_id for e in shelf.journal if e.answer is None).items():
            if times > 1:
                yield "stated-twice", f"{name} {identifier}", f"{times} rows of the journal"


def nothing_went_back(evidence: Evidence) -> Iterator[Broken]:
    """Positions, numbers and versions of a row only grew while they were watched."""
    for text in evidence.went_back:
        yield "went-back", text.partition(":")[0], text.partition(": ")[2]


def nothing_is_left(evidence: Evidence) -> Iterator[Broken]:
    """No message waits, no dead letter lies, no timer is overdue, no fact is unsent, no transaction is left open.

    And nothing is to be woken, or claimed, for what is not there.
    """
    for name, shelf in evidence.shelves.items():
        for text in shelf.waiting:
            yield "waits", name, text
        for text in shelf.letters:
            yield "dead-letter", name, text
        for text in shelf.stuck:
            yield "session-stuck", name, text
        if shelf.unsent:
            yield "unsent", name, f"{shelf.unsent} facts"
        if shelf.due:
            yield "overdue", name, f"{shelf.due} rows of the agenda"
        for table, rows in shelf.astray.items():
            if rows:
                yield "astray", f"{name}.{table}", f"{rows} rows of things that are not there"
