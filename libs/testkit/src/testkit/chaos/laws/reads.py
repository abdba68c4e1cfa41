"""I1 and I9 of what was read: whoever acted is shown the act, nothing shown goes back, lists show what is one's own."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from cli.demo.organisation import CONTACTS, organisation_of
from testkit.chaos.evidence import Evidence
from testkit.chaos.operations import CLOSED, Operation

Broken = tuple[str, str, str]

_TURNS: Final = frozenset({"close", "reopen"})
_VERSION: Final = "version"
"""Each service counts its own; all else is the same number wherever it is shown."""
_OPENED: Final = "workflow.request-opened"


def acts_are_shown(evidence: Evidence) -> Iterator[Broken]:
    """A read of the service that took an act, or at the position that it answered, shows the act and all before it.

    It finds the request, and shows no lower number than the act was answered with; nor than a read before it, whoever
    it was that asked. Reads that nobody answered say nothing.
    """
    told: dict[UUID, list[Operation]] = defaultdict(list)
    for operation in evidence.operations.all:
        if operation.subject is not None:
            told[operation.subject].append(operation)
    for subject, operations in told.items():
        for read in operations:
            if read.what == "read":
                before = [each for each in operations if each.ended <= read.began and _must_show(read, each)]
                for name, why in _missed(read, before, operations):
                    yield name, f"{read.place}/{subject}", f"shown to {read.who}: {why}"


def _must_show(read: Operation, earlier: Operation) -> bool:
    """Whether what was answered ok is to be known where it is read; of other reads, the same holds in one service."""
    if earlier.outcome != "ok":
        return False
    if earlier.place == read.place:
        return True
    if earlier.position is None or read.awaited is None:
        return False
    return earlier.position[:2] == read.awaited[:2] and earlier.position[2] <= read.awaited[2]


def _missed(read: Operation, before: Sequence[Operation], all_of_it: Sequence[Operation]) -> Iterator[tuple[str, str]]:
    if read.outcome == "refused" and read.status == 404 and before:
        yield "read-misses-request", f"404 after {before[-1].what} {before[-1].key}"
    if read.outcome != "ok":
        return
    for earlier in before:
        for name in earlier.shown.keys() & read.shown.keys() - {CLOSED}:
            if read.shown[name] < earlier.shown[name] and (name != _VERSION or earlier.place == read.place):
                kind = "read-goes-back" if earlier.what == "read" else "read-misses-act"
                yield kind, f"{name} {read.shown[name]}, {earlier.what} {earlier.key} said {earlier.shown[name]}"
    turn = _last_turn(read, all_of_it)
    if turn is None or turn not in before or CLOSED not in turn.shown.keys() & read.shown.keys():
        return
    if turn.shown[CLOSED] != read.shown[CLOSED]:
        yield "read-misses-act", f"closed {read.shown[CLOSED]} after {turn.what} {turn.key}"


def _last_turn(read: Operation, operations: Sequence[Operation]) -> Operation | None:
    """What closed or reopened it last before a read; None when nobody can say, for something else may have by then."""
    turns = [each for each in operations if each.what in _TURNS and each.outcome != "refused"]
    possible = [each for each in turns if each.began < read.ended]
    if not possible or any(each.outcome != "ok" or each.ended > read.began for each in possible):
        return None
    return max(possible, key=lambda each: each.ended)


def lists_show_ones_own(evidence: Evidence) -> Iterator[Broken]:
    """A contact's list has own requests alone; that of workflow also those of the organisation, which shares them."""
    owners = {
        fact.subject: (fact.data.get("contact_id"), fact.data.get("organisation_id"))
        for fact in evidence.facts
        if fact.type == _OPENED
    }
    own = {each.login: (str(each.id), str(organisation_of(each))) for each in CONTACTS}
    for operation in evidence.operations.all:
        if operation.what == "list" and operation.who in own:
            contact, organisation = own[operation.who]
            for subject in operation.listed:
                of_contact, of_organisation = owners.get(subject, (contact, None))
                shared = operation.place == "workflow" and of_organisation == organisation
                if of_contact != contact and not shared:
                    yield "listed-to-others", f"{operation.place}/{subject}", f"listed for {operation.who}"
