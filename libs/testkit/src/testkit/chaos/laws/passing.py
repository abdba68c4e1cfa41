"""What a fault must pass by beside the promises: a figure of the run and its bound, set by set.

A violation is told under the promise that it belongs to.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from testkit.chaos.answers import TOO_MANY, Failure
from testkit.chaos.laws.recovering import BUSY
from testkit.chaos.operations import Operation, percentile

Broken = tuple[str, str, str, str]
"""(invariant, name, where, evidence)"""

REPEATS: Final = 0.01
"""The part of the records of a rolling restart that may be repeats: who drains tells nothing twice."""
OLDEST_UNSENT: Final = 2.0
"""Seconds that a fact may wait to be published behind a long transaction: one, and the one in which a relay looks."""
BESIDE_POISON: Final = 2.0
"""Seconds that half of the submissions take less than, while others send rubbish."""
DRAINED_WITHIN: Final = 300.0
"""Seconds from the end of a burst until nothing of it is left to do; a slow machine is given no more."""
QUIET_WITHIN: Final = 120.0
"""Seconds for which quiet is waited for after any other fault."""


def patience(kind: str, usual: float = QUIET_WITHIN) -> float:
    """For how many seconds quiet is waited for after a fault of a set, of which most are waited for as `usual`."""
    return max(usual, DRAINED_WITHIN) if drains in LAWS.get(kind, ()) else usual


@dataclass(frozen=True)
class Course:
    """What is known of a run besides its evidence; what is not told has no law."""

    fault: str
    kind: str = ""
    slowed: float = 1.0
    facts: int = 0
    repeats: int = 0
    """Those of the facts that were told before."""
    failures: Sequence[Failure] = ()
    asked: Sequence[Operation] = ()
    """Everything that was asked and came to an end since the strike."""
    unanswered: Sequence[str] = ()
    """What careful callers were refused, or not answered."""
    oldest_unsent: float | None = None
    orphans: Sequence[str] = ()
    drained: float | None = None
    """Seconds from the heal to quiet; None: it did not become quiet."""

    def allowed(self, seconds: float) -> float:
        """So many on an empty machine, on this one."""
        return seconds * max(BUSY, self.slowed)


Law = Callable[[Course], Iterator[Broken]]


def broken(course: Course) -> list[Broken]:
    """Every figure that is beyond its bound."""
    return [each for law in (*ALWAYS, *LAWS.get(course.kind, ())) for each in law(course)]


def turned_away_with_patience(course: Course) -> Iterator[Broken]:
    """A door that can do nothing at the moment says 503, or 429 to who asks too much, and when to come again."""
    wrong = Counter[tuple[int, str]]()
    example: dict[tuple[int, str], str] = {}
    for asked, status, after in course.failures:
        if status not in (TOO_MANY, 503) or not after.isdigit():
            wrong[status, after] += 1
            example.setdefault((status, after), asked)
    for (status, after), times in wrong.items():
        said = f"Retry-After {after!r}" if after else "no Retry-After"
        yield "I1", "turned-away-for-good", course.fault, f"{status} with {said}, {times}x: {example[status, after]}"


def few_repeats(course: Course) -> Iterator[Broken]:
    """Less than a hundredth of all records comes again."""
    if course.repeats and course.repeats >= REPEATS * course.facts:
        allowed = f"allowed are less than {REPEATS:.0%}"
        yield "I8", "too-many-repeats", course.fault, f"{course.repeats} of {course.facts} records, {allowed}"


def facts_go_out(course: Course) -> Iterator[Broken]:
    """Whatever other transactions do, facts are published at once."""
    most = course.allowed(OLDEST_UNSENT)
    if course.oldest_unsent is not None and course.oldest_unsent > most:
        yield "I11", "unsent-for-long", course.fault, f"{course.oldest_unsent:.1f} s, allowed are {most:.1f} s"


def others_go_on(course: Course) -> Iterator[Broken]:
    """Whoever sends sense is answered, and half of the submissions at once: on the topics with the rubbish, too."""
    for said in course.unanswered:
        yield "I1", "refused-beside-poison", course.fault, said
    most = course.allowed(BESIDE_POISON)
    for via in ("http", "topic"):
        took = sorted(each.seconds for each in course.asked if each.what == "submit" and each.via == via)
        if (middle := percentile(took, 0.5)) > most:
            yield "I11", "slow-beside-poison", course.fault, f"{via}: p50 {middle:.1f} s, allowed are {most:.1f} s"


def asked_to_come_again(course: Course) -> Iterator[Broken]:
    """Of too many submissions none is refused for good: what is shed is shed with 429 or 503, and may come again."""
    refused = Counter(f"{each.status} {each.slug}" for each in _refused(course.asked))
    for said, times in refused.items():
        yield "I1", "shed-for-good", course.fault, f"{times} submissions were refused: {said}"


def _refused(asked: Sequence[Operation]) -> Iterator[Operation]:
    for each in asked:
        if each.what == "submit" and each.outcome == "refused" and each.status not in (TOO_MANY, 503):
            yield each


def drains(course: Course) -> Iterator[Broken]:
    """What is left of a burst is done within minutes."""
    if course.drained is None or course.drained > DRAINED_WITHIN:
        took = "never" if course.drained is None else f"after {course.drained:.0f} s"
        yield "I11", "not-drained", course.fault, f"quiet {took}, allowed are {DRAINED_WITHIN:.0f} s from the heal"


def nothing_is_missed(course: Course) -> Iterator[Broken]:
    """What is on its way is no orphan, and when nothing is any more there is none."""
    for said in course.orphans:
        yield "I1", "orphan-told", course.fault, said


ALWAYS: Final[tuple[Law, ...]] = (turned_away_with_patience,)
LAWS: Final[Mapping[str, tuple[Law, ...]]] = {
    "F2": (few_repeats,),
    "F12": (others_go_on,),
    "F14": (asked_to_come_again, drains),
    "F16": (facts_go_out,),
    "operators": (nothing_is_missed,),
}
"""By sets of faults."""
