"""One request under test: a queue with two working stages, some people, and a clock that the test moves."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from chassis.decision import SYSTEM, Actor, TimerDue, changed
from testkit.deciding import NOON, Facts
from workflow.domain import lifecycle, messages
from workflow.domain.fold import evolve
from workflow.domain.records import Definition, Person, Stage, Team, WaitReason
from workflow.domain.state import ServiceRequest

_ROOT = UUID("6c1f2f1e-2a56-5d8e-9d51-0c7b8b6a9f11")
OWNER, MATE, BOSS, STRANGER, GONE, CONTACT, OTHER_CONTACT, TEAM = (uuid5(_ROOT, str(n)) for n in range(8))

DEFINITION = Definition(
    queue="support",
    version=1,
    name="Support",
    stages=(
        Stage("New", "new"),
        Stage("Triage", "in-progress"),
        Stage("Work", "in-progress"),
        Stage("Closed", "closed"),
    ),
    completion_minutes={"low": 480, "medium": 240, "high": 120, "critical": 60},
    matrix={"low": {"low": "low"}, "high": {"high": "critical"}},
    reasons=(
        WaitReason("customer", True, "customer"),
        WaitReason("vendor", True, "vendor"),
        WaitReason("colleague", False, "other"),
    ),
    reopen_days=7,
)
PEOPLE = (
    Person(OWNER, "Olga", roles=("agent",)),
    Person(MATE, "Mat", roles=("agent",), teams=(TEAM,)),
    Person(BOSS, "Bo", roles=("owner",)),
    Person(STRANGER, "Stan", roles=("agent",)),
    Person(GONE, "Gus", active=False, roles=("owner",), teams=(TEAM,)),
)
SUBMITTED = messages.Open(
    number="R-000001",
    contact_id=CONTACT,
    organisation_id=None,
    queue="support",
    queue_version=1,
    summary="Line is dead",
    description="Since this morning",
    impact="medium",
    urgency="medium",
    priority=None,
    category=None,
    occurred_at=NOON,
    received_at=NOON,
    channel="agent",
    submitted_by=Actor("person", OWNER),
    owner_id=None,
    team_id=None,
    custom={},
    external_reference=None,
    stage=None,
    mode="live",
)


class Case:
    """A request as its facts made it. Each `ask` happens at `now`, `later` moves it."""

    owner, mate, boss, stranger, gone = (Actor("person", who) for who in (OWNER, MATE, BOSS, STRANGER, GONE))
    contact, other_contact = Actor("contact", CONTACT), Actor("contact", OTHER_CONTACT)
    client, system = Actor("client", uuid5(_ROOT, "client")), SYSTEM
    people = PEOPLE
    team_id = TEAM

    def __init__(self, definition: Definition = DEFINITION, now: datetime = NOON) -> None:
        self.definition = definition
        self.now = now
        self.request: ServiceRequest | None = None
        self.facts: list[Any] = []
        self._documents: dict[tuple[str, str], Any] = {
            ("queue", f"{definition.queue}@{definition.version}"): definition
        }
        self._documents |= {("person", str(person.person_id)): person for person in PEOPLE}
        self._documents["team", str(TEAM)] = Team(TEAM, "Lines", 1)

    @property
    def known(self) -> Facts:
        """Reference data for the next decision; its ids differ from those of the decisions before."""
        return Facts(self._documents, message=uuid5(_ROOT, f"message {len(self.facts)}"), at=self.now)

    def ask(self, message: Any) -> Sequence[Any]:
        """Decide, fold, and give the new facts."""
        stated = lifecycle.decide(self.request, message, self.now, self.known)
        for fact in stated:
            self.request = evolve(self.request, fact)
        self.facts.extend(stated)
        return stated

    def learn(self, kind: str, document: Any, id: UUID) -> None:
        """Know a document of another service."""
        self._documents[kind, str(id)] = document

    def later(self, **by: float) -> "Case":
        """Let time pass."""
        self.now += timedelta(**by)
        return self

    def ring(self) -> Sequence[Any]:
        """Let the next entry of the agenda come due, exactly when it is."""
        [((kind, ref), due_at)] = lifecycle.agenda(self.open).items()
        self.now = max(self.now, due_at)
        return self.ask(TimerDue(kind, ref, due_at))

    @property
    def open(self) -> ServiceRequest:
        """The request, which there is."""
        assert self.request is not None
        return self.request

    def told(self, kind: type) -> list[Any]:
        """All facts of a class so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


@pytest.fixture(scope="session")
def submission() -> messages.Open:
    """What intake told."""
    return SUBMITTED


@pytest.fixture(scope="session")
def opened() -> Callable[..., Case]:
    """Opens a request; `queue` changes fields of its definition, the rest fields of the submission."""

    def open_case(*, queue: dict[str, Any] | None = None, now: datetime = NOON, **fields: Any) -> Case:
        case = Case(changed(DEFINITION, **queue or {}), now)
        case.ask(changed(SUBMITTED, **fields))
        return case

    return open_case


@pytest.fixture(scope="session")
def definition() -> Definition:
    """The queue that `opened` uses."""
    return DEFINITION
