"""I3 and I6 against the rules of the services: what these state breaks no law, and a bug planted in them breaks one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing import deciders
from billing.deciders import ACCOUNTS
from billing.domain import invoicing
from billing.domain import messages as billing
from billing.domain.money import Money
from billing.domain.prices import PRICE_BOOK, PRICE_BOOKS, Entry, PriceBook
from chassis.aggregate import Aggregate
from chassis.decision import SYSTEM, Actor, Draw, Refused, TimerDue, changed
from chassis.writing import merged
from cli.reconcile.heard import Heard
from testkit.chaos.children import ChildRow
from testkit.chaos.evidence import Evidence, Shelf
from testkit.chaos.folds import Folded, fold
from testkit.chaos.laws.accounts import closes_are_billed
from testkit.chaos.laws.clocks import BOUND, breaches
from testkit.chaos.laws.documents import stored_as_told
from testkit.chaos.laws.duetimes import TOLD_WITHIN, every_breach_is_stated
from testkit.chaos.operations import Operations
from testkit.deciding import Facts
from workflow.deciders import REQUESTS
from workflow.domain import lifecycle, sla
from workflow.domain import messages as workflow
from workflow.domain.records import Definition, Person, Stage, WaitReason

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
REQUEST, OLGA, CARLA = (UUID(int=n) for n in (7, 70, 71))
OWNER, CONTACT = Actor("person", OLGA), Actor("contact", CARLA)
ALLOWED = timedelta(seconds=BOUND + TOLD_WITHIN)

BOOK = PriceBook(1, "EUR", (Entry("A", "Article", "product", Money(Decimal("9.99"), "EUR"), Decimal("0.19")),))
QUEUE = Definition(
    queue="support",
    version=1,
    name="Support",
    stages=(Stage("New", "new"), Stage("Work", "in-progress"), Stage("Closed", "closed")),
    completion_minutes={"low": 480, "medium": 240, "high": 120},
    matrix={},
    reasons=(WaitReason("customer", True, "customer"), WaitReason("colleague", False, "other")),
    early_resolve=True,
    reopen_days=7,
)


class Told:
    """An aggregate that decides by itself, and what is told of it."""

    def __init__(self, aggregate: Aggregate[Any], documents: dict[tuple[str, str], Any]) -> None:
        self.aggregate, self.now = aggregate, NOON
        self.state: Any = None
        self.evidence = Evidence(Operations())
        self._documents = documents
        self._journal: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    def ask(self, message: Any, at: datetime | None = None) -> None:
        """Decide at `now`; what is refused changes nothing."""
        known = Facts(self._documents, message=uuid5(REQUEST, str(len(self._journal))), at=self.now)
        try:
            stated = self.aggregate.decide(self.state, message, self.now, known)
        except Refused:
            return
        for fact in map(self._numbered, stated):
            self.state = self.aggregate.evolve(self.state, fact)
            self._tell(fact, at or self.now)

    def _numbered(self, fact: Any) -> Any:
        draw = getattr(fact, "number", None)
        if not isinstance(draw, Draw):
            return fact
        n = self._numbers[draw.series] = self._numbers.get(draw.series, 0) + 1
        return changed(fact, number=draw.pattern.format(n))

    def _tell(self, fact: Any, time: datetime) -> None:
        row = self.aggregate.codec.encode(fact)
        sequence = 1 + sum(each["topic"] is not None for each in self._journal)
        self._journal.append(
            {**row._asdict(), "grp": 0, "recorded_at": time, "occurred_at": time, "sequence": sequence}
        )
        if row.topic is not None:
            self.hear(row.topic, row.type, sequence, time, orjson.loads(merged(row.data, row.personal) or "{}"))

    def hear(self, topic: str, kind: str, sequence: int, time: datetime, data: dict[str, Any]) -> None:
        """Something that is told, by this aggregate or another."""
        identifier = uuid5(REQUEST, f"{topic}{sequence}")
        self.evidence.facts.append(Heard(topic, kind, REQUEST, sequence, identifier, time, data))

    @property
    def folded(self) -> Folded:
        return fold(self.aggregate, REQUEST, self._journal, self._journal)

    def broken(self, *laws: Callable[[Evidence], Any]) -> list[Any]:
        return [found for law in laws for found in law(self.evidence)]


# -- I6 --------------------------------------------------------------------------------------------------------------

Command = tuple[str, int]
COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(
            ["wait", "talk", "resume", "progress", "high", "low", "close", "reopen", "message", "live", "nothing"]
        ),
        st.integers(0, 200),
    ),
    max_size=25,
)
ASKED: dict[str, Any] = {
    "wait": workflow.Wait("customer", OWNER),
    "talk": workflow.Wait("colleague", OWNER),
    "resume": workflow.Resume(OWNER),
    "progress": workflow.Progress(None, OWNER),
    "high": workflow.ChangePriority("high", None, None, OWNER),
    "low": workflow.ChangePriority("low", None, None, OWNER),
    "close": workflow.Close("resolved", None, None, OWNER),
    "reopen": workflow.Reopen("again", None, OWNER),
    "message": workflow.PostMessage("?", CONTACT),
    "live": workflow.GoLive(OWNER),
}


def request(mode: str, stage: str | None, received: int) -> Told:
    told = Told(REQUESTS, {("queue", "support@1"): QUEUE, ("person", str(OLGA)): Person(OLGA, roles=("owner",))})
    told.ask(
        workflow.Open(
            number="R-1", contact_id=CARLA, organisation_id=None, queue="support", queue_version=1, summary="Dead",
            description=None, impact="medium", urgency="medium", priority=None, category=None, occurred_at=NOON,
            received_at=NOON - timedelta(minutes=received), channel="agent", submitted_by=OWNER, owner_id=OLGA,
            team_id=None, custom={}, external_reference=None, stage=stage, mode=mode,
        )
    )  # fmt: skip
    return told


def live(told: Told, commands: Sequence[Command], *, timers: bool) -> Told:
    """Carry them out, so many minutes apart, a part of them backdated; timers ring on time or not at all."""
    for name, minutes in commands:
        until = told.now + timedelta(minutes=minutes)
        while timers and (due := min(lifecycle.agenda(told.state).items(), key=lambda each: each[1], default=None)):
            (kind, ref), at = due
            if at > until:
                break
            told.now = max(told.now, at)
            told.ask(TimerDue(kind, ref, at))
        told.now = max(told.now, until)
        if name in ASKED:
            back = max(told.state.changed_at, told.now - timedelta(minutes=5)) if minutes % 3 == 0 else None
            told.ask(changed(ASKED[name], at=back) if back else ASKED[name], back)
    told.evidence.at = told.now
    return told


BEGINNINGS = {
    "mode": st.sampled_from(["live", "live", "history"]),
    "stage": st.sampled_from([None, None, "Work", "Closed"]),
    "received": st.sampled_from([0, 0, 100, 5_000]),
    "commands": COMMANDS,
}


@given(**BEGINNINGS)
@settings(max_examples=150)
def test_whatever_a_request_goes_through_it_breaks_no_law_of_its_clock(
    mode: str, stage: str | None, received: int, commands: list[Command]
) -> None:
    told = live(request(mode, stage, received), commands, timers=True)
    assert told.broken(every_breach_is_stated, breaches) == []


@given(**BEGINNINGS)
@settings(max_examples=150)
def test_without_timers_exactly_those_are_found_whose_time_is_up(
    mode: str, stage: str | None, received: int, commands: list[Command]
) -> None:
    told = live(request(mode, stage, received), commands, timers=False)
    missing = told.state.mode == "live" and sla.breach(told.state.clock, told.now - ALLOWED) is not None
    assert [name for name, _, _ in told.broken(every_breach_is_stated)] == ["never-breached"] * missing


def test_a_rule_that_forgets_what_was_due_before_a_wait_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [("wait", 241), ("resume", 10)]
    assert live(request("live", None, 0), commands, timers=False).broken(every_breach_is_stated) == []
    monkeypatch.setattr("workflow.domain.turn.Turn.settle", lambda turn: None)
    [(name, _, _)] = live(request("live", None, 0), commands, timers=False).broken(every_breach_is_stated)
    assert name == "never-breached"


def test_a_clock_that_runs_on_while_the_request_waits_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [("wait", 100), ("nothing", 200), ("resume", 1)]
    assert live(request("live", None, 0), commands, timers=True).broken(every_breach_is_stated) == []
    monkeypatch.setattr(sla, "pause", lambda clock, at: clock)
    [(name, _, _)] = live(request("live", None, 0), commands, timers=True).broken(every_breach_is_stated)
    assert name == "breached-otherwise"


# -- I3 --------------------------------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["log", "log", "remove", "close", "close", "reopen", "issue", "credit"]),
        st.integers(0, 9),
    ),
    max_size=40,
)


class Account(Told):
    """The account of a request whose closes are told as well."""

    def __init__(self) -> None:
        super().__init__(ACCOUNTS, {(PRICE_BOOKS, str(PRICE_BOOK)): BOOK})
        self.closes = 0
        self.ask(billing.Open(CARLA, "R-1"))

    def act(self, name: str, n: int) -> None:
        """One act; `n` chooses what of, and how."""
        account, any_of = self.state, UUID(int=0)
        if name == "log":
            self.ask(billing.LogCharge("A", Decimal(n) / 4, None, None, SYSTEM))
        elif name == "remove":
            self.ask(billing.RemoveCharge(_some([line.line_id for line in account.lines], n, any_of), SYSTEM))
        elif name == "issue":
            self.ask(billing.IssueDraft(_some([each.invoice_id for each in account.drafts], n, any_of), SYSTEM))
        elif name == "credit":
            invoice = _some([each.invoice_id for each in account.invoices], n, any_of)
            self.ask(billing.IssueCreditNote(invoice, "Wrong", SYSTEM))
        elif name == "reopen":
            self.ask(billing.Reopen(self.closes))
        elif not account.closed:
            self._close("resolved" if n % 4 else "cancelled", account.revision - (n == 5), n == 6)

    def _close(self, outcome: str, seen: int, history: bool) -> None:
        self.closes += 1
        mode = "history" if history else "live"
        told = {"close_no": self.closes, "outcome": outcome, "charge_revision": seen, "mode": mode}
        self.hear("workflow.requests", "workflow.request-closed", self.closes, self.now, told)
        self.ask(billing.Close(self.closes, outcome, seen, CARLA, "R-1", history))

    def found(self) -> list[str]:
        rows = [ChildRow(table, key, REQUEST, row, row) for (table, key), row in self.folded.children.items()]
        self.evidence.shelves = {"billing": Shelf(children=rows)}
        return [name for name, _, _ in self.broken(closes_are_billed, stored_as_told)]


def _some(of: list[UUID], n: int, otherwise: UUID) -> UUID:
    return of[n % len(of)] if of else otherwise


@given(acts=ACTS)
@settings(max_examples=150)
def test_whatever_is_charged_closed_issued_and_credited_breaks_no_law_of_accounts(acts: list[tuple[str, int]]) -> None:
    account = Account()
    for act in acts:
        account.act(*act)
    assert account.found() == []


SEEN, UNSEEN = ("close", 1), ("close", 5)


@pytest.mark.parametrize("close", [SEEN, UNSEEN], ids=["at the close", "of the draft"])
def test_a_rule_that_drops_a_charge_breaks_the_law_though_rows_are_folds(
    monkeypatch: pytest.MonkeyPatch, close: tuple[str, int]
) -> None:
    whole = invoicing.invoice

    def less(invoice_id: UUID, close_no: int, contact_id: UUID, lines: Any, now: datetime) -> Any:
        return whole(invoice_id, close_no, contact_id, tuple(lines)[1:], now)

    monkeypatch.setattr(invoicing, "invoice", less)
    account = Account()
    for act in (("log", 1), ("log", 2), close, ("issue", 0)):
        account.act(*act)
    assert account.found() == ["charge-not-billed"]


def test_a_draft_that_shows_another_amount_breaks_the_law_before_it_is_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciders, "on_invoice", lambda line: changed(invoicing.on_invoice(line), net=line.tax))
    account = Account()
    for act in (("log", 1), ("log", 2), UNSEEN):
        account.act(*act)
    assert account.found() == ["charge-billed-otherwise"] * 2
