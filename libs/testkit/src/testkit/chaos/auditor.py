"""The auditor: which promise was broken, by which request, and how one can see it.

Pure: evidence in, violations out. Each check bites in `libs/testkit/tests/test_auditor.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from testkit.chaos.evidence import Evidence
from testkit.chaos.laws import (
    acceptance,
    accounts,
    approvals,
    books,
    clocks,
    documents,
    duetimes,
    holding,
    order,
    privacy,
    reads,
    recovering,
    states,
)

INVARIANTS = {
    "I1": "what was accepted is there, once; what nobody answered is there once or not at all",
    "I2": "nothing refers to a request that does not exist",
    "I3": "one answer of billing per close, with every charge until then once; lines, documents and series add up",
    "I4": "one message per cause, recipient and template; no mail twice",
    "I5": "one decision per approval, and the one that was voted",
    "I6": "one breach per clock, never early, in time, for all that is overdue and nothing else; every timer is armed",
    "I7": "every row is the fold of its facts, with its columns and the rows beside it; none is missing",
    "I8": "first occurrences are 1..n; everybody has heard all of it",
    "I9": "nobody is shown what is not theirs; what stays inside is on no topic",
    "I11": "recovered within the fault's bound; nothing waits, nothing is due, nothing is unsent after the heal",
    "I12": "memory within its bound and flat; open files, sessions and small tables are what they were before",
}


class Violation(NamedTuple):
    """One broken promise."""

    invariant: str
    name: str
    where: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.name}: {self.where} ({self.evidence})"


Broken = tuple[str, str, str]
"""(name, where, evidence)"""
Law = Callable[[Evidence], Iterator[Broken]]

LAWS: dict[str, tuple[Law, ...]] = {
    "I1": (
        acceptance.accepted_is_there,
        acceptance.unknown_at_most_once,
        acceptance.acts_happen_once,
        acceptance.grants_move_once,
        acceptance.no_error_of_ours,
        reads.acts_are_shown,
        books.existence,
    ),
    "I2": (acceptance.nothing_from_nothing,),
    "I3": (
        books.billing,
        books.series_have_no_gap,
        books.invoices_add_up,
        accounts.closes_are_billed,
        documents.stored_as_told,
    ),
    "I4": (books.messages, books.no_mail_twice),
    "I5": (books.approvals, approvals.one_decision, approvals.as_voted),
    "I6": (clocks.breaches, clocks.stated_in_time, clocks.wake_ups, duetimes.every_breach_is_stated),
    "I7": (states.rows_are_folds, states.facts_have_rows, states.columns_are_folds, states.children_are_folds),
    "I8": (
        order.no_gaps,
        order.told_is_published,
        order.heard_is_told,
        order.event_ids_are_unique,
        order.nothing_went_back,
    ),
    "I9": (privacy.nobody_pries, privacy.inside_stays_inside, reads.lists_show_ones_own),
    "I11": (order.nothing_is_left,),
    "I12": (holding.nothing_is_kept, holding.memory_is_flat),
}


def audit(evidence: Evidence) -> list[Violation]:
    """Every violation of every invariant, in the order of the invariants."""
    return [
        Violation(invariant, *broken) for invariant, laws in LAWS.items() for law in laws for broken in law(evidence)
    ]


def late_recovery(fault: str, kind: str, seconds: float | None, slowed: float) -> list[Violation]:
    """Whether it took longer to recover from a fault of a set than it may: of no evidence, but of the run itself."""
    return [Violation("I11", *broken) for broken in recovering.in_time(fault, kind, seconds, slowed)]


def by_invariant(violations: list[Violation]) -> dict[str, int]:
    """How many of each, the clean ones too."""
    counted = Counter(violation.invariant for violation in violations)
    return {invariant: counted[invariant] for invariant in INVARIANTS}
