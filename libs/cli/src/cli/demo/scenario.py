"""What happens in the demo: a seeded plan of every request's life, before anything is started.

Pure: the same seed gives the same plan. Steps name who acts; the player turns them into calls.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from cli.demo.organisation import AGENTS, APPROVERS, CONTACTS, SKUS, STAGES

SUMMARIES = {
    "outage": ("No connection since this morning", "Line drops every hour", "Slow at peak times", "Phone is dead"),
    "change": ("Second line for the new floor", "Move the connection to the annex", "Static address for a server"),
    "billing": ("Charged twice in May", "Copy of an old invoice", "Question about the set-up fee"),
}
REASONS = ("Photos of the wiring are missing", "Diagnosis does not fit the symptoms", "Wrong address was checked")


@dataclass(frozen=True)
class Step:
    """One act: `what` is a command, `who` the login that acts, `data` the command's fields."""

    what: str
    who: str
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Life:
    """One request from submission to wherever the scenario leaves it."""

    n: int
    queue: str
    contact: str
    by: str
    """Login that submits: the contact, an agent, or `crm`, which does that and all that its people do over Kafka."""
    summary: str
    impact: str
    urgency: str
    late_minutes: float
    """How long ago it was received, for what was passed on in person."""
    steps: tuple[Step, ...]


def lives(seed: int, requests: int) -> list[Life]:
    """The plan of a whole scenario."""
    chance = random.Random(seed)
    return [_life(chance, n) for n in range(requests)]


def _life(chance: random.Random, n: int) -> Life:
    queue = chance.choices(("outage", "change", "billing"), (3, 2, 5))[0]
    contact = chance.choice(CONTACTS).login
    agent = chance.choice(AGENTS).login
    by = chance.choices((contact, agent, "crm"), (3, 2, 5))[0]
    late = chance.randrange(70, 2_000) if by == agent and chance.random() < 0.25 else 0
    return Life(
        n=n,
        queue=queue,
        contact=contact,
        by=by,
        summary=chance.choice(SUMMARIES[queue]),
        impact=chance.choice(("low", "medium", "high")),
        urgency=chance.choice(("low", "medium", "medium", "high")),
        late_minutes=late,
        steps=tuple(_steps(chance, queue, contact, agent, owned=by == agent)),
    )


def _steps(chance: random.Random, queue: str, contact: str, agent: str, *, owned: bool) -> Iterator[Step]:
    if chance.random() < 0.05:
        return
    if not owned:
        yield Step("take-over", agent)
    if chance.random() < 0.06:
        yield Step("close", contact, {"outcome": "cancelled"})
        return
    stages = STAGES[queue]
    last = len(stages) - 2
    refused = queue == "change" and chance.random() < 0.15
    for at in range(last):
        yield from _at_stage(chance, contact, agent)
        if stages[at] == "Assess":
            yield Step("ask", agent)
            yield Step("refuse" if refused else "approve", chance.choice(APPROVERS).login)
            if refused:
                yield Step("close", agent, {"outcome": "unresolved"})
                return
            continue
        yield Step("progress", agent)
        if at >= 1 and chance.random() < 0.1:
            yield Step("regress", agent, {"reason": chance.choice(REASONS)})
            yield Step("progress", agent)
    yield from _charges(chance, queue, agent)
    if chance.random() < 0.04:
        return
    yield from _end(chance, queue, agent)


def _at_stage(chance: random.Random, contact: str, agent: str) -> Iterator[Step]:
    if chance.random() < 0.15:
        yield Step("note", agent, {"text": "Called back, nobody answered."})
    if chance.random() < 0.12:
        yield Step("wait", agent, {"reason": chance.choice(("customer", "supplier"))})
        yield Step("resume", agent)
    if chance.random() < 0.1:
        yield Step("message", agent, {"text": "A technician will come tomorrow between 8 and 10."})
        yield Step("message", contact, {"text": "Thank you, somebody will be there."})


def _charges(chance: random.Random, queue: str, agent: str) -> Iterator[Step]:
    if queue == "billing":
        return
    for _ in range(chance.choice((0, 1, 1, 2))):
        yield Step("charge", agent, {"sku": chance.choice(SKUS), "quantity": str(chance.choice((1, 1, 2, 3)))})


def _end(chance: random.Random, queue: str, agent: str) -> Iterator[Step]:
    outcome = chance.choices(("resolved", "unresolved"), (9, 1))[0]
    yield Step("close", agent, {"outcome": outcome})
    if queue == "outage" and outcome == "resolved" and chance.random() < 0.05:
        yield Step("reopen", agent, {"reason": "The line dropped again"})
        yield Step("close", agent, {"outcome": "resolved"})
