"""A request under any sequence of commands, against a model that is simple enough to be believed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from chassis.decision import Refused, TimerDue
from workflow.domain import facts, lifecycle, messages, sla
from workflow.domain.fold import evolve

STAGES = ("New", "Triage", "Work", "Closed")
PAUSING = {"customer", "vendor"}
REASONS = ("customer", "vendor", "colleague")
TARGETS = {"low": 480, "medium": 240, "high": 120, "critical": 60}


class Model:
    """Stage, holds and minutes as anybody would keep them on paper."""

    def __init__(self) -> None:
        self.at = 0
        self.open = True
        self.holds: set[str] = set()
        self.visits = {"New": 1}
        self.priority = "medium"
        self.running = timedelta(0)
        self.paused = timedelta(0)
        self.shut = timedelta(0)
        self.closes = 0
        self.breached = False

    def pass_time(self, span: timedelta) -> None:
        if not self.open:
            self.shut += span
        elif self.holds & PAUSING:
            self.paused += span
        else:
            self.running += span

    def enter(self, at: int) -> None:
        self.at = at
        self.holds.clear()
        self.visits[STAGES[at]] = self.visits.get(STAGES[at], 0) + 1

    def settle(self) -> None:
        self.breached |= self.open and self.running > timedelta(minutes=TARGETS[self.priority])


class Machine(RuleBasedStateMachine):
    """Asks, and compares. `opened` makes its request; a subclass brings it."""

    opened: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        self.case = type(self).opened(queue={"early_resolve": True})
        self.model = Model()

    def accepted(self, message: Any) -> bool:
        """Whether it was taken; a refusal changes nothing, so neither does the model settle."""
        try:
            self.case.ask(message)
        except Refused:
            return False
        self.model.settle()
        return True

    @rule(minutes=st.integers(0, 400), microseconds=st.integers(0, 1))
    def time_passes(self, minutes: int, microseconds: int) -> None:
        span = timedelta(minutes=minutes, microseconds=microseconds)
        self.case.now += span
        self.model.pass_time(span)

    @rule()
    def progress(self) -> None:
        taken = self.accepted(messages.Progress(None, self.case.owner))
        assert taken == (self.model.open and self.model.at < 2)
        if taken:
            self.model.enter(self.model.at + 1)

    @rule(reason=st.sampled_from(["", " ", "wrong line"]))
    def regress(self, reason: str) -> None:
        taken = self.accepted(messages.Regress(reason, self.case.owner))
        assert taken == (self.model.open and self.model.at > 0 and bool(reason.strip()))
        if taken:
            self.model.enter(self.model.at - 1)

    @rule(reason=st.sampled_from(REASONS))
    def wait(self, reason: str) -> None:
        taken = self.accepted(messages.Wait(reason, self.case.owner))
        assert taken == (self.model.open and reason not in self.model.holds)
        if taken:
            self.model.holds.add(reason)

    @rule()
    def resume(self) -> None:
        taken = self.accepted(messages.Resume(self.case.owner))
        assert taken == (self.model.open and bool(self.model.holds))
        if taken:
            self.model.holds.clear()

    @rule()
    def customer_writes(self) -> None:
        assert self.accepted(messages.PostMessage("?", self.case.contact))
        self.model.holds.discard("customer")

    @rule(priority=st.sampled_from(sorted(TARGETS)))
    def change_priority(self, priority: str) -> None:
        taken = self.accepted(messages.ChangePriority(priority, None, None, self.case.owner))
        assert taken == self.model.open
        if taken:
            self.model.priority = priority
            self.model.settle()

    @rule(outcome=st.sampled_from(["resolved", "unresolved", "cancelled"]))
    def close(self, outcome: str) -> None:
        taken = self.accepted(messages.Close(outcome, None, None, self.case.owner))
        assert taken == self.model.open
        if taken:
            self.model.enter(3)
            self.model.open, self.model.closes = False, self.model.closes + 1
            self.model.shut = timedelta(0)

    @precondition(lambda self: not self.model.open)
    @rule(to=st.integers(0, 2))
    def reopen(self, to: int) -> None:
        taken = self.accepted(messages.Reopen("again", STAGES[to], self.case.owner))
        assert taken == (self.model.shut <= timedelta(days=7))
        if taken:
            self.model.enter(to)
            self.model.open = True

    @rule()
    def timer_rings(self) -> None:
        due = {key: at for key, at in lifecycle.agenda(self.case.open).items() if at <= self.case.now}
        for (kind, ref), at in due.items():
            assert self.case.ask(TimerDue(kind, ref, at))
            self.model.settle()
        assert all(at > self.case.now for at in lifecycle.agenda(self.case.open).values())

    @invariant()
    def it_stands_where_the_model_does(self) -> None:
        request = self.case.open
        assert (request.stage, request.visits) == (STAGES[self.model.at], self.model.visits)
        assert {hold.reason for hold in request.holds} == self.model.holds
        assert (request.is_closed, request.close_no) == (not self.model.open, self.model.closes)

    @invariant()
    def the_clock_measured_what_the_model_did(self) -> None:
        clock, now = self.case.open.clock, self.case.now
        assert timedelta(microseconds=sla.elapsed_at(clock, now)) == self.model.running
        assert timedelta(microseconds=sla.paused_at(clock, now)) == self.model.paused

    @invariant()
    def a_breach_is_told_once_and_only_when_time_was_used_up(self) -> None:
        breaches = self.case.told(facts.SlaBreached)
        assert len(breaches) == int(self.model.breached)
        assert all(told.breached_at == told.due_at <= told.emitted_at for told in breaches)

    @invariant()
    def it_is_the_fold_of_its_facts(self) -> None:
        state = None
        for fact in self.case.facts:
            state = evolve(state, fact)
        assert state == self.case.request

    @invariant()
    def the_alarm_is_set_exactly_when_it_can_ring(self) -> None:
        can_ring = self.model.open and not self.model.holds & PAUSING and not self.model.breached
        assert bool(lifecycle.agenda(self.case.open)) == can_ring


def test_any_sequence_of_commands_agrees_with_the_model(opened: Callable[..., Any]) -> None:
    machine = type("OfOpened", (Machine,), {"opened": staticmethod(opened)})
    run_state_machine_as_test(machine, settings=settings(max_examples=150, stateful_step_count=30))
