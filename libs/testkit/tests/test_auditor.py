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
from testkit.chaos.children import ChildRow
from testkit.chaos.evidence import Evidence, Row, Rowless, Shelf, Stated
from testkit.chaos.footprint import Footprint, Held
from testkit.chaos.laws.acceptance import unknown_at_most_once
from testkit.chaos.laws.approvals import verdict_of
from testkit.chaos.laws.clocks import BOUND, Late, Span, lates, unhindered
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
        approval = {"approval_id": "a1", "transition_id": "t1"}
        asked = self.tell("approvals.approval-requested", **approval, approvers=[PERSON], policy={"kind": "any"})
        self.tell("approvals.vote-cast", approval_id="a1", person_id=PERSON, decision="approve", late=False)
        self.tell("approvals.approval-settled", **approval, outcome="granted", approved=1, refused=0)
        self.tell("workflow.sla-breached", clock="resolution", due_at=due, emitted_at=due)
        self.tell("workflow.note-added")
        line = {"line_id": "l1", "net": money("10.10"), "tax": money("1.92")}
        self.tell("billing.charge-logged", revision=1, **line)
        effect = {"closed_at": (NOON + timedelta(seconds=9)).isoformat(), "charge_revision": 1}
        closed = self.tell("workflow.request-closed", outcome="resolved", close_no=1, **effect)
        self._invoice(line)
        for n, cause in enumerate((opened, asked, closed)):
            told = {"cause_event_id": str(cause.id), "recipient_id": PERSON, "template": f"t{n}"}
            self.tell("notifications.message-planned", message_id=f"m{n}", **told)
            self.tell("notifications.message-accepted", message_id=f"m{n}")
        assert transition.sequence == 2

    def _invoice(self, line: dict[str, Any]) -> None:
        what = {"invoice_id": "i1", "number": "INV-2026-000001", "close_no": 1, "lines": [line]}
        amounts = {"net": "10.10", "tax": "1.92", "total": "12.02"}
        self.tell("billing.invoice-issued", **what, **{name: money(amount) for name, amount in amounts.items()})
        stored = {**what, **amounts, "status": "issued", "currency": "EUR"}
        self.evidence.shelves["billing"].children = [ChildRow("invoices", "i1", REQUEST, stored, deepcopy(stored))]

    def _close_the_books(self) -> None:
        for name, (_, aggregate, heard) in STREAMS.items():
            positions = {topic: self._sequences[topic] for topic in heard if topic in self._sequences}
            sequence = self._sequences[STREAMS[name][0]]
            state = {"stage": "Closed"}
            self.evidence.shelves[name].rows.append(
                Row(aggregate, REQUEST, sequence, positions, state, deepcopy(state))
            )
        position = "intake.requests", REQUEST, 1
        for what in ("submit", "progress", "note", "charge", "vote", "close"):
            told = Operation(what, f"k-{what}", "http", "ok", 0.1, REQUEST, "run-1")
            told.place, told.position = "workflow", position if what == "submit" else None
            self.evidence.operations.add(told)
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


def without_asking(what: str) -> Plant:
    """Nobody asked for it."""

    def plant(evidence: Evidence) -> None:
        evidence.operations = Operations([each for each in evidence.operations.all if each.what != what])

    return plant


def twice(kind: str, **data: Any) -> Plant:
    """A fact and another one like it that were not told at all."""

    def plant(evidence: Evidence) -> None:
        fact = replace(evidence.facts[-1], type=kind, data=data)
        evidence.facts += [replace(fact, id=UUID(int=n)) for n in (96, 97)]

    return plant


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


def never_breached(evidence: Evidence) -> None:
    without("workflow.sla-breached")(evidence)
    altered("workflow.request-opened", due_at=(NOON + timedelta(seconds=3)).isoformat())(evidence)


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


def after_runs(*kib: int, pid: int = 7) -> Plant:
    """So much memory has a process after each of its runs, the last one after this one."""
    *between, now = (Footprint({"intake": Held(pid, each, 40)}) for each in kib)

    def plant(evidence: Evidence) -> None:
        evidence.between, evidence.after = between, now

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
JUST_LATE = (NOON + timedelta(seconds=3 + BOUND, microseconds=1)).isoformat()
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
    ("I1", "act-unasked", without_asking("note")),
    ("I1", "moved-twice", twice("workflow.stage-changed", transition_id="t1")),
    ("I1", "read-misses-request", asked("read", "refused", status=404, place="workflow", began=1.0)),
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
    ("I3", "charge-not-billed", altered("billing.invoice-issued", lines=[])),
    ("I3", "document-differs", altered("billing.invoice-issued", close_no=2)),
    ("I4", "told-twice", again("notifications.message-planned", message_id="m9")),
    ("I4", "not-told", without("notifications.message-planned")),
    ("I4", "not-sent", without("notifications.message-accepted")),
    ("I4", "mail-twice", mailed_twice),
    ("I5", "not-asked", without("approvals.approval-requested", "approvals.approval-settled")),
    ("I5", "asked-twice", again("approvals.approval-requested", approval_id="a2")),
    ("I5", "settled-twice", again("approvals.approval-settled")),
    ("I5", "decided-twice", again("approvals.approval-settled")),
    ("I5", "voted-twice", again("approvals.vote-cast")),
    ("I5", "settled-otherwise", altered("approvals.approval-settled", outcome="refused")),
    ("I5", "settled-otherwise", altered("approvals.approval-settled", outcome="expired")),
    ("I5", "settled-otherwise", altered("approvals.vote-cast", decision="refuse")),
    ("I5", "settled-otherwise", without("approvals.vote-cast")),
    ("I5", "settled-otherwise", altered("approvals.approval-requested", policy={"kind": "k", "k": 2})),
    ("I5", "not-settled", without("approvals.approval-settled")),
    ("I5", "miscounted", altered("approvals.approval-settled", refused=1)),
    ("I5", "voted-unasked", altered("approvals.vote-cast", person_id=str(STRANGER))),
    ("I5", "misjudged-late", altered("approvals.vote-cast", late=True)),
    ("I5", "misjudged-late", again("approvals.vote-cast", person_id=str(STRANGER))),
    ("I6", "breached-late", altered("workflow.sla-breached", emitted_at=JUST_LATE)),
    ("I6", "breached-twice", again("workflow.sla-breached")),
    ("I6", "breached-early", altered("workflow.sla-breached", emitted_at=EARLY)),
    ("I6", "breached-though-resolved", again("workflow.sla-breached", due_at=LATE, emitted_at=LATE)),
    ("I6", "sleeps-too-long", row("workflow", due=NOON)),
    ("I6", "sleeps-too-long", row("workflow", due=NOON, wakes=NOON + timedelta(microseconds=1))),
    ("I6", "never-breached", never_breached),
    ("I7", "row-is-no-fold", row("approvals", state={"stage": "New"})),
    ("I7", "row-is-no-fold", row("notifications", folded=None)),
    ("I7", "row-is-no-fold", row("approvals", state={}, folded={"added later": None})),
    ("I7", "row-lost", shelf("workflow", rowless=[Rowless("people", STRANGER, "workflow.person")])),
    ("I7", "column-is-no-fold", row("workflow", columns={"stage": "New"}, derived={"stage": "Closed"})),
    ("I7", "child-lost", shelf("workflow", children=[ChildRow("notes", "n1", REQUEST, None, {"note_no": 1})])),
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
    ("I9", "listed-to-others", asked("list", "ok", subject=None, who="anna.keller", listed=(REQUEST,))),
    ("I9", "told-outside", again("workflow.note-added", text="Nobody must know.")),
    ("I11", "session-stuck", shelf("billing", stuck=["77 idle in transaction: SELECT 1"])),
    ("I11", "waits", shelf("workflow", waiting=["7 gap"])),
    ("I11", "dead-letter", shelf("billing", letters=["no-json"])),
    ("I11", "unsent", shelf("intake", unsent=1)),
    ("I11", "overdue", shelf("workflow", due=1)),
    ("I11", "astray", shelf("workflow", astray={"wake": 1})),
    ("I12", "memory-over", kept(processes={"intake": Held(7, ENOUGH_KIB + 1, 40)})),
    ("I12", "memory-climbs", after_runs(80_000, 100_000, 104_000, 108_000, 110_001)),
    ("I12", "not-drained", kept(left={"billing.journal_default": 1})),
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


@pytest.mark.parametrize(
    "kib",
    [
        (80_000, 100_000, 104_000, 108_000, 110_000),
        (80_000, 100_000, 112_000, 112_000, 113_000),
        (80_000, 100_000, 100_004, 100_016, 140_000),
        (80_000, 100_000),
    ],
    ids=["less than a tenth", "a step", "a step after a few pages", "too few runs to tell"],
)
def test_a_process_whose_memory_does_not_climb_from_run_to_run_is_in_order(
    evidence: Evidence, kib: tuple[int, ...]
) -> None:
    after_runs(*kib)(evidence)
    assert audit(evidence) == []


def test_what_another_process_of_the_name_had_before_is_no_climb(evidence: Evidence) -> None:
    after_runs(80_000, 100_000, 104_000, 108_000, 120_000)(evidence)
    assert {violation.name for violation in audit(evidence)} == {"memory-climbs"}
    evidence.after = Footprint({"intake": Held(8, 120_000, 40)})
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
    assert [late.seconds for late in lates(evidence.facts)] == [0.0]
    altered("workflow.sla-breached", emitted_at=at(5).isoformat())(evidence)
    assert [late.seconds for late in lates(evidence.facts)] == [2.0]
    evidence.facts = [
        replace(fact, time=at(4)) if fact.type == "workflow.request-opened" else fact for fact in evidence.facts
    ]
    assert [late.seconds for late in lates(evidence.facts)] == [1.0]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 5.0),
        ([(0, 3)], 5.0),
        ([(8, 20)], 5.0),
        ([(0, 20)], 0.0),
        ([(4, 6)], 3.0),
        ([(0, 4), (7, 20)], 3.0),
        ([(0, 6), (4, 5)], 2.0),
        ([(5, 7), (4, 6)], 2.0),
    ],
)
def test_the_time_in_which_a_fault_stood_in_the_way_is_not_counted_once_or_twice(
    spans: list[tuple[int, int]], seconds: float
) -> None:
    hindered: list[Span] = [(at(begins), at(ends)) for begins, ends in spans]
    assert unhindered(Late(REQUEST, REQUEST, "resolution", at(3), at(8)), hindered) == seconds


@pytest.mark.parametrize(("span", "found"), [((10, 20), 1), ((3, 6.5), 1), ((3, 7), 0), ((0, 20), 0)])
def test_a_breach_is_late_unless_a_fault_was_in_its_way(
    evidence: Evidence, span: tuple[float, float], found: int
) -> None:
    altered("workflow.sla-breached", emitted_at=at(8).isoformat())(evidence)
    evidence.hindered = [(at(span[0]), at(span[1]))]
    assert [violation.name for violation in audit(evidence)] == ["breached-late"] * found


@pytest.mark.parametrize(
    ("policy", "asked", "approved", "refused", "verdict"),
    [
        ({"kind": "any"}, 3, 0, 2, None),
        ({"kind": "any"}, 3, 1, 2, "granted"),
        ({"kind": "any"}, 3, 0, 3, "refused"),
        ({"kind": "all"}, 3, 2, 0, None),
        ({"kind": "all"}, 3, 3, 0, "granted"),
        ({"kind": "all"}, 3, 0, 1, "refused"),
        ({"kind": "k", "k": 2}, 3, 1, 1, None),
        ({"kind": "k", "k": 2}, 3, 2, 1, "granted"),
        ({"kind": "k", "k": 2}, 3, 1, 2, "refused"),
        ({"kind": "k", "k": 4}, 3, 0, 0, "refused"),
        ({"kind": "k", "k": None}, 3, 0, 0, "refused"),
        ({"kind": "by lot"}, 3, 0, 0, "refused"),
        ({"kind": "any"}, 0, 0, 0, "refused"),
        ({"kind": "all"}, 0, 0, 0, "refused"),
    ],
)
def test_votes_decide_as_soon_as_nothing_can_change_it(
    policy: dict[str, Any], asked: int, approved: int, refused: int, verdict: str | None
) -> None:
    assert verdict_of(policy, asked, approved, refused) == verdict
