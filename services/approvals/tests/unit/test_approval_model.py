"""The approval file against a small reference model, whatever happens in whatever order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from approvals.domain.approval_file import agenda, decide, evolve
from approvals.domain.facts import ApprovalRequested, ApprovalSettled, Fact, VoteCast
from approvals.domain.messages import Ask, CastVote, Policy, Withdraw, WithdrawAll
from approvals.domain.records import Person
from approvals.domain.state import ApprovalFile
from chassis.decision import Actor, Refused, TimerDue
from testkit.deciding import Facts

PEOPLE = tuple(UUID(int=n) for n in range(1, 5))
STAFF = {("person", str(each)): Person(each, each != PEOPLE[3]) for each in PEOPLE}
POLICIES = st.one_of(st.just(Policy("any")), st.just(Policy("all")), st.builds(Policy, st.just("k"), st.integers(0, 4)))


@dataclass
class Expected:
    """What the model knows of one approval."""

    approvers: set[UUID]
    needed: int
    due_at: datetime
    stages: tuple[str, str]
    votes: dict[UUID, str] = field(default_factory=dict)
    late: set[UUID] = field(default_factory=set)
    outcome: str | None = None

    def count(self, decision: str) -> int:
        return list(self.votes.values()).count(decision)

    def settle(self, outcome: str) -> None:
        self.outcome = self.outcome or outcome


class ApprovalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 6, 5, 12, tzinfo=UTC)
        self.state: ApprovalFile | None = None
        self.facts: list[Fact] = []
        self.model: dict[UUID, Expected] = {}
        self.ids: dict[UUID, UUID] = {}
        self.steps = 0

    def send(self, message: Any) -> list[Fact]:
        self.steps += 1
        for each in self.model.values():
            if each.outcome is None and each.due_at < self.now:
                each.outcome = "expired"
        made = list(decide(self.state, message, self.now, Facts(STAFF, message=UUID(int=self.steps))))
        for fact in made:
            self.state = evolve(self.state, fact)
        self.facts += made
        return made

    def open(self) -> list[Expected]:
        return [each for each in self.model.values() if each.outcome is None]

    @rule(
        n=st.integers(1, 6),
        policy=POLICIES,
        named=st.lists(st.sampled_from(PEOPLE), max_size=4),
        asked_by=st.sampled_from([None, *PEOPLE]),
        to_stage=st.sampled_from(["Work", "Done"]),
        hours=st.integers(0, 5),
    )
    def ask(self, n: int, policy: Policy, named: list[UUID], asked_by: UUID | None, to_stage: str, hours: int) -> None:
        transition = UUID(int=1000 + n)
        due_at = self.now + timedelta(hours=hours)
        ask = Ask(transition, "New", to_stage, 1, "hash", policy, tuple(named), "R-1", None, asked_by, due_at)
        made = self.send(ask)
        if transition in self.model:
            assert not [fact for fact in made if isinstance(fact, ApprovalRequested)]
            return
        for each in self.open():
            if each.stages == ("New", to_stage):
                each.settle("void")
        approvers = {each for each in named if each != asked_by and each != PEOPLE[3]}
        needed = {"any": 1, "all": len(approvers), "k": policy.k or 0}[policy.kind]
        expected = Expected(approvers, needed, due_at, ("New", to_stage))
        if not approvers or not 1 <= needed <= len(approvers):
            expected.settle("refused")
        self.model[transition] = expected
        [self.ids[transition]] = [fact.approval_id for fact in made if isinstance(fact, ApprovalRequested)]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), person=st.sampled_from(PEOPLE), decision=st.sampled_from(["approve", "refuse"]))
    def vote(self, data: st.DataObject, person: UUID, decision: str) -> None:
        transition = data.draw(st.sampled_from(sorted(self.model)))
        expected = self.model[transition]
        allowed = person in expected.approvers and person not in expected.votes.keys() | expected.late
        try:
            self.send(CastVote(self.ids[transition], decision, None, Actor("person", person)))
        except Refused:
            assert not allowed
            return
        assert allowed
        if expected.outcome is not None:
            expected.late.add(person)
            return
        expected.votes[person] = decision
        if expected.count("approve") >= expected.needed:
            expected.settle("granted")
        elif len(expected.approvers) - expected.count("refuse") < expected.needed:
            expected.settle("refused")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        transition = data.draw(st.sampled_from(sorted(self.model)))
        self.send(Withdraw(transition, "edited"))
        self.model[transition].settle("void")

    @rule()
    def leave_stage(self) -> None:
        self.send(WithdrawAll("regressed"))
        for each in self.open():
            each.settle("void")

    @rule(minutes=st.integers(1, 180))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        for (kind, ref), at in agenda(self.state or ApprovalFile()).items():
            if at <= self.now:
                self.send(TimerDue(kind, ref, at))
        for each in self.open():
            if each.due_at <= self.now:
                each.settle("expired")

    @invariant()
    def every_approval_has_the_outcome_of_the_model_once(self) -> None:
        outcomes = [(fact.transition_id, fact.outcome) for fact in self.facts if isinstance(fact, ApprovalSettled)]
        assert len({transition for transition, _ in outcomes}) == len(outcomes)
        stated = dict(outcomes)
        for transition, expected in self.model.items():
            overdue = expected.outcome == "expired" and transition not in stated
            assert overdue or stated.get(transition) == expected.outcome

    @invariant()
    def nothing_is_open_twice_for_one_transition(self) -> None:
        stages = [(each.from_stage, each.to_stage) for each in (self.state or ApprovalFile()).open]
        assert len(set(stages)) == len(stages)

    @invariant()
    def late_votes_are_those_after_the_outcome(self) -> None:
        over: set[UUID] = set()
        for fact in self.facts:
            if isinstance(fact, ApprovalSettled):
                over.add(fact.approval_id)
            elif isinstance(fact, VoteCast):
                assert fact.late == (fact.approval_id in over)

    @invariant()
    def state_is_the_fold_of_its_facts(self) -> None:
        state: ApprovalFile | None = None
        for fact in self.facts:
            state = evolve(state, fact)
        assert state == self.state


TestApprovalMachine = ApprovalMachine.TestCase
TestApprovalMachine.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
