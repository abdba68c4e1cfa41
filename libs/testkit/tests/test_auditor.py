"""The auditor bites: an honest run has no violation, and each planted one is found under its invariant and name."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import pytest

from cli.reconcile.heard import Heard
from testkit.chaos.auditor import INVARIANTS, LAWS, audit, by_invariant
from testkit.chaos.evidence import Evidence, Row, Shelf, Stated
from testkit.chaos.footprint import Footprint, Held
from testkit.chaos.laws.acceptance import unknown_at_most_once
from testkit.chaos.laws.clocks import lateness
from testkit.chaos.laws.holding import ENOUGH_KIB, SPARE_BYTES, SPARE_FILES
from testkit.chaos.operations import Operation, Operations

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REQUEST = UUID(int=7)
SPACE = UUID(int=1)
PERSON = str(UUID(int=70))

STREAMS = {
    "intake": ("intake.requests", "submissions", ("workflow.requests",)),
    "workflow": ("workflow.requests", "requests", ("approvals.approvals", "billing.accounts", "intake.requests")),
    "approvals": ("approvals.approvals", "approval_files", ("workflow.requests",)),
    "billing": ("billing.accounts", "accounts", ("workflow.requests",)),
    "notifications": (
        "notifications.messages",
        "thread",
        ("approvals.approvals", "billing.accounts", "intake.requests", "workflow.requests"),
    ),
}


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


class Story:
    """An honest request, from its submission to its invoice; every fact on its topic, in its journal and heard."""

    def __init__(self) -> None:
        self.evidence = Evidence(Operations(), shelves={name: Shelf() for name in STREAMS})
        self._sequences: dict[str, int] = {}
        self._seconds = count()
        self._tell()
        self._close_the_books()

    def tell(self, kind: str, **data: Any) -> Heard:
        """A fact on its owner's stream."""
        service = kind.partition(".")[0]
        topic = STREAMS[service][0]
        sequence = self._sequences[topic] = self._sequences.get(topic, 0) + 1
        time = NOON + timedelta(seconds=next(self._seconds))
        fact = Heard(topic, kind, REQUEST, sequence, uuid5(SPACE, f"{topic}{sequence}"), time, data)
        self.evidence.facts.append(fact)
        self.evidence.shelves[service].journal.append(Stated(fact.id, topic, kind, REQUEST, sequence))
        return fact

    def _tell(self) -> None:
        common = {"number": "R-1", "queue": "change", "summary": "Second line [run-1]"}
        due = (NOON + timedelta(seconds=3)).isoformat()
        self.tell("intake.request-submitted", **common)
        opened = self.tell("workflow.request-opened", stage="New", **common)
        transition = self.tell("workflow.transition-requested", transition_id="t1")
        asked = self.tell("approvals.approval-requested", approval_id="a1", transition_id="t1", approvers=[PERSON])
        self.tell("approvals.vote-cast", approval_id="a1", person_id=PERSON, decision="approve", late=False)
        self.tell("approvals.approval-settled", approval_id="a1", transition_id="t1", outcome="granted")
        self.tell("workflow.sla-breached", clock="resolution", due_at=due, emitted_at=due)
        self.tell("workflow.note-added")
        self.tell("billing.charge-logged", line_id="l1")
        closed = self.tell("workflow.request-closed", outcome="resolved", close_no=1)
        self._invoice()
        for n, cause in enumerate((opened, asked, closed)):
            told = {"cause_event_id": str(cause.id), "recipient_id": PERSON, "template": f"t{n}"}
            self.tell("notifications.message-planned", message_id=f"m{n}", **told)
            self.tell("notifications.message-accepted", message_id=f"m{n}")
        assert transition.sequence == 2

    def _invoice(self) -> None:
        line = {"line_id": "l1", "net": money("10.10"), "tax": money("1.92")}
        self.tell(
            "billing.invoice-issued",
            number="INV-2026-000001",
            close_no=1,
            lines=[line],
            net=money("10.10"),
            tax=money("1.92"),
            total=money("12.02"),
        )

    def _close_the_books(self) -> None:
        for name, (_, aggregate, heard) in STREAMS.items():
            positions = {topic: self._sequences[topic] for topic in heard if topic in self._sequences}
            sequence = self._sequences[STREAMS[name][0]]
            state = {"stage": "Closed"}
            self.evidence.shelves[name].rows.append(
                Row(aggregate, REQUEST, sequence, positions, state, deepcopy(state))
            )
        position = "intake.requests", REQUEST, 1
        for what, about in (("submit", REQUEST), ("note", REQUEST), ("charge", REQUEST), ("vote", REQUEST)):
            self.evidence.operations.add(
                Operation(
                    what, f"k-{what}", "http", "ok", 0.1, about, "run-1", "", position if what == "submit" else None
                )
            )
        self.evidence.mails = {"<m0>": 1, "<m1>": 1}


@pytest.fixture
def evidence() -> Evidence:
    return Story().evidence


Plant = Callable[[Evidence], None]


def without(*kinds: str) -> Plant:
    """Take the facts of some types off the topics."""

    def plant(evidence: Evidence) -> None:
        evidence.facts = [fact for fact in evidence.facts if fact.type not in kinds]

    return plant


def again(kind: str, **changed: Any) -> Plant:
    """Tell a fact once more, as a new one."""

    def plant(evidence: Evidence) -> None:
        old = next(fact for fact in evidence.facts if fact.type == kind)
        last = max(fact.sequence for fact in evidence.facts if fact.topic == old.topic)
        evidence.facts.append(
            replace(
                old, id=UUID(int=99), sequence=last + 1, time=NOON + timedelta(hours=1), data={**old.data, **changed}
            )
        )

    return plant


def altered(kind: str, **changed: Any) -> Plant:
    """Tell a fact differently."""

    def plant(evidence: Evidence) -> None:
        evidence.facts = [
            replace(fact, data={**fact.data, **changed}) if fact.type == kind else fact for fact in evidence.facts
        ]

    return plant


def asked(what: str, outcome: Any, **more: Any) -> Plant:
    """One more operation."""
    fields: dict[str, Any] = {"subject": REQUEST, **more}
    return lambda evidence: evidence.operations.add(Operation(what, f"more-{what}", "http", outcome, 0.1, **fields))


def shelf(name: str, **changed: Any) -> Plant:
    """Something else on a service's shelf."""

    def plant(evidence: Evidence) -> None:
        for field, value in changed.items():
            setattr(evidence.shelves[name], field, value)

    return plant


def row(name: str, **changed: Any) -> Plant:
    """Another row."""

    def plant(evidence: Evidence) -> None:
        evidence.shelves[name].rows = [each._replace(**changed) for each in evidence.shelves[name].rows]

    return plant


def mailed_twice(evidence: Evidence) -> None:
    evidence.mails = {"<m0>": 2}


def went_back(evidence: Evidence) -> None:
    evidence.went_back = ["billing/7: version was 3, is 2"]


def stated_twice(evidence: Evidence) -> None:
    evidence.shelves["billing"].journal *= 2


def answered(*answers: str) -> Plant:
    def plant(evidence: Evidence) -> None:
        evidence.shelves["billing"].journal += [
            Stated(UUID(int=99), "billing.results.crm", "throughline.command-accepted", REQUEST, None, answer)
            for answer in answers
        ]

    return plant


def kept(**after: Any) -> Plant:
    """More is held after than before."""
    before = Footprint({"intake": Held(7, 100_000, 40)}, 20, {"billing.waiting": 50_000})

    def plant(evidence: Evidence) -> None:
        evidence.before, evidence.after = before, replace(before, **after)

    return plant


def shown(text: str) -> Plant:
    def plant(evidence: Evidence) -> None:
        evidence.shown = [text]

    return plant


def swapped(evidence: Evidence) -> None:
    first, second = [n for n, fact in enumerate(evidence.facts) if fact.topic == "workflow.requests"][:2]
    evidence.facts[first], evidence.facts[second] = evidence.facts[second], evidence.facts[first]


def number_given_twice(evidence: Evidence) -> None:
    evidence.facts.append(replace(evidence.facts[0], id=UUID(int=98)))


def told_otherwise(**changed: Any) -> Plant:
    """The same fact comes again, and says something else."""

    def plant(evidence: Evidence) -> None:
        charge = next(fact for fact in evidence.facts if fact.type == "billing.charge-logged")
        evidence.facts.append(replace(charge, **changed))

    return plant


EARLY = (NOON - timedelta(days=1)).isoformat()
LATE = (NOON + timedelta(days=1)).isoformat()
STRANGER = UUID(int=666)

PLANTED: list[tuple[str, str, Plant]] = [
    ("I1", "lost-in-intake", shelf("intake", rows=[])),
    ("I1", "lost-on-topic", without("intake.request-submitted")),
    ("I1", "lost-in-workflow", without("workflow.request-opened")),
    ("I1", "not-opened", without("workflow.request-opened")),
    ("I1", "lost-position", asked("edit", "ok", position=("workflow.requests", REQUEST, 99))),
    ("I1", "submitted-twice", again("intake.request-submitted")),
    ("I1", "opened-twice", again("workflow.request-opened")),
    ("I1", "act-lost", asked("charge", "ok")),
    ("I1", "act-lost", without("workflow.note-added")),
    ("I1", "act-repeated", again("billing.charge-logged")),
    ("I1", "answered-500", asked("edit", "refused", status=500)),
    ("I2", "fact-about-nothing", lambda e: e.facts.append(replace(e.facts[-1], subject=STRANGER, sequence=1))),
    ("I2", "row-about-nothing", row("billing", subject=STRANGER)),
    ("I3", "not-billed", without("billing.invoice-issued")),
    ("I3", "billed-twice", again("billing.invoice-issued", number="INV-2026-000002")),
    ("I3", "charge-billed-twice", again("billing.invoice-issued", number="INV-2026-000002", close_no=2)),
    ("I3", "number-twice", again("billing.invoice-issued", close_no=2)),
    ("I3", "number-missing", altered("billing.invoice-issued", number="INV-2026-000002")),
    ("I3", "lines-differ", altered("billing.invoice-issued", net=money("10.11"))),
    ("I3", "total-differs", altered("billing.invoice-issued", total=money("12.03"))),
    ("I4", "told-twice", again("notifications.message-planned", message_id="m9")),
    ("I4", "not-told", without("notifications.message-planned")),
    ("I4", "not-sent", without("notifications.message-accepted")),
    ("I4", "mail-twice", mailed_twice),
    ("I5", "not-asked", without("approvals.approval-requested", "approvals.approval-settled")),
    ("I5", "asked-twice", again("approvals.approval-requested", approval_id="a2")),
    ("I5", "settled-twice", again("approvals.approval-settled")),
    ("I5", "decided-twice", again("approvals.approval-settled")),
    ("I5", "voted-twice", again("approvals.vote-cast")),
    ("I6", "breached-twice", again("workflow.sla-breached")),
    ("I6", "breached-early", altered("workflow.sla-breached", emitted_at=EARLY)),
    ("I6", "breached-though-resolved", again("workflow.sla-breached", due_at=LATE, emitted_at=LATE)),
    ("I6", "sleeps-too-long", row("workflow", due=NOON)),
    ("I6", "sleeps-too-long", row("workflow", due=NOON, wakes=NOON + timedelta(microseconds=1))),
    ("I7", "row-is-no-fold", row("approvals", state={"stage": "New"})),
    ("I7", "row-is-no-fold", row("notifications", folded=None)),
    ("I7", "row-is-no-fold", row("approvals", state={}, folded={"added later": None})),
    ("I8", "gap", without("workflow.note-added")),
    ("I8", "gap", swapped),
    ("I8", "number-used-twice", number_given_twice),
    ("I8", "told-otherwise", told_otherwise(data={"line_id": "l2"})),
    ("I8", "told-otherwise", told_otherwise(time=NOON - timedelta(days=1))),
    ("I8", "never-published", without("billing.charge-logged")),
    ("I8", "published-from-nowhere", again("billing.charge-logged")),
    ("I8", "not-heard", row("notifications", heard={})),
    ("I8", "not-heard", row("workflow", sequence=99)),
    ("I8", "stated-twice", stated_twice),
    ("I8", "answered-otherwise", answered('{"revision":1}', '{"revision":2}')),
    ("I8", "went-back", went_back),
    ("I9", "shown-to-others", shown("workflow/requests/7 is shown to esi.lopes")),
    ("I9", "hidden-from-owner", shown("workflow/requests/7 is hidden from esi.lopes, whose it is")),
    ("I9", "told-outside", again("workflow.note-added", text="Nobody must know.")),
    ("I11", "session-stuck", shelf("billing", stuck=["77 idle in transaction: SELECT 1"])),
    ("I11", "waits", shelf("workflow", waiting=["7 gap"])),
    ("I11", "dead-letter", shelf("billing", letters=["no-json"])),
    ("I11", "unsent", shelf("intake", unsent=1)),
    ("I11", "overdue", shelf("workflow", due=1)),
    ("I12", "memory-grew", kept(processes={"intake": Held(7, ENOUGH_KIB + 1, 40)})),
    ("I12", "files-left-open", kept(processes={"intake": Held(8, 100_000, 45 + SPARE_FILES)})),
    ("I12", "sessions-left-open", kept(sessions=23)),
    ("I12", "table-grew", kept(tables={"billing.waiting": 55_001 + SPARE_BYTES})),
]


def test_an_honest_run_has_no_violation(evidence: Evidence) -> None:
    assert audit(evidence) == []
    assert set(by_invariant([]).values()) == {0}


@pytest.mark.parametrize(("invariant", "name", "plant"), PLANTED)
def test_a_planted_violation_is_found(evidence: Evidence, invariant: str, name: str, plant: Plant) -> None:
    plant(evidence)
    found = audit(evidence)
    assert (invariant, name) in {(violation.invariant, violation.name) for violation in found}
    assert by_invariant(found)[invariant] > 0
    assert all(violation.where and violation.evidence for violation in found)


def test_a_mail_whose_attempt_has_time_left_is_on_its_way(evidence: Evidence) -> None:
    without("notifications.message-accepted")(evidence)
    assert "not-sent" in {violation.name for violation in audit(evidence)}
    row("notifications", due=NOON, wakes=NOON)(evidence)
    assert "not-sent" not in {violation.name for violation in audit(evidence)}


def test_a_little_more_than_before_is_no_leak(evidence: Evidence) -> None:
    held = {"intake": Held(8, ENOUGH_KIB, 44 + SPARE_FILES)}
    kept(processes=held, sessions=22, tables={"billing.waiting": 55_000 + SPARE_BYTES})(evidence)
    assert audit(evidence) == []


def test_a_command_that_is_delivered_again_is_answered_again_with_the_same_words(evidence: Evidence) -> None:
    answered('{"revision":1}', '{"revision":1}')(evidence)
    assert audit(evidence) == []


def test_every_invariant_and_every_law_of_it_has_a_planted_violation() -> None:
    assert set(LAWS) == set(INVARIANTS) == {invariant for invariant, _, _ in PLANTED}
    bitten = set()
    for _, _, plant in PLANTED:
        evidence = Story().evidence
        plant(evidence)
        bitten |= {law for laws in LAWS.values() for law in laws if any(law(evidence))}
    never = {law for laws in LAWS.values() for law in laws} - bitten
    assert never == {unknown_at_most_once}  # below


def test_a_timer_that_is_armed_for_its_moment_or_earlier_is_in_order(evidence: Evidence) -> None:
    row("workflow", due=NOON, wakes=NOON)(evidence)
    assert audit(evidence) == []


def test_a_request_of_unknown_outcome_may_be_there_once_and_not_twice(evidence: Evidence) -> None:
    evidence.operations.add(Operation("submit", "k2", "http", "unknown", 1.0, marker="run-2"))
    assert audit(evidence) == []
    twins = [UUID(int=21), UUID(int=22)]
    submitted = next(fact for fact in evidence.facts if fact.type == "intake.request-submitted")
    evidence.facts += [
        replace(submitted, subject=twin, data={**submitted.data, "summary": "x [run-2]"}) for twin in twins
    ]
    assert "made-twice" in {violation.name for violation in audit(evidence)}


def test_a_refused_submission_makes_no_request(evidence: Evidence) -> None:
    for operation in evidence.operations.all:
        if operation.what == "submit":
            operation.outcome, operation.slug, operation.subject = "refused", "no-such-queue", None
    assert "made-though-refused" in {violation.name for violation in audit(evidence)}


def test_an_act_of_unknown_outcome_may_have_happened_or_not(evidence: Evidence) -> None:
    asked("note", "unknown")(evidence)
    assert audit(evidence) == []
    note = next(fact for fact in evidence.facts if fact.type == "workflow.note-added")
    for n in (51, 52):
        evidence.facts.append(replace(note, id=UUID(int=n)))
    repeated = [violation for violation in audit(evidence) if violation.name == "act-repeated"]
    assert [violation.evidence for violation in repeated] == ["1 ok and 1 unknown, 3 facts"]


def test_a_record_that_comes_again_is_no_violation(evidence: Evidence) -> None:
    evidence.facts += [evidence.facts[3], evidence.facts[5]]
    assert audit(evidence) == []


def test_lateness_counts_from_the_due_time_or_from_the_opening_whichever_is_later(evidence: Evidence) -> None:
    assert lateness(evidence.facts) == [0.0]
    altered("workflow.sla-breached", emitted_at=(NOON + timedelta(seconds=5)).isoformat())(evidence)
    assert lateness(evidence.facts) == [2.0]
