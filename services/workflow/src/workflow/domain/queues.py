"""Queues: a draft is written and published; a published version never changes, and running requests keep theirs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from chassis.decision import Invalid, Known, changed, record
from workflow.domain import messages, priority, stages
from workflow.domain.records import Definition, Gate, Stage
from workflow.domain.refusals import NoSuchQueue, NothingToPublish

NEW = Stage("New", stages.NEW)
CLOSED = Stage("Closed", stages.CLOSED)
_ROOT = UUID("3f6a0f0e-5a0e-5b5c-9c39-6f2d3c1a7e43")
_POLICIES = ("any", "all", "k")
MOST_DAYS = 3_650
MOST_MINUTES = MOST_DAYS * 24 * 60
"""Ten years. What is due later than that would leave the calendar that readers of our facts know."""


@record
class QueueDrafted:
    """The next version was written; nothing runs by it yet."""

    definition: Definition


@record
class CurrentQueue:
    """Which version new requests take."""

    queue: str
    version: int


@record
class Queue:
    """A queue's published version number, and its draft when there is one."""

    queue: str
    version: int = 0
    draft: Definition | None = None
    published: Definition | None = None


def subject_of(name: str) -> UUID:
    """The id of the queue of this name."""
    return uuid5(_ROOT, name)


def decide(queue: Queue | None, message: Any, now: datetime, known: Known) -> Sequence[Any]:
    """Draft or publish."""
    if isinstance(message, messages.DraftQueue):
        return _draft(queue, message)
    if queue is None:
        raise NoSuchQueue("no queue of this name was drafted")
    if queue.draft is None:
        raise NothingToPublish(f"{queue.queue} has no draft")
    version = queue.version + 1
    published = changed(queue.draft, version=version, matrix=priority.filled(queue.draft.matrix), published_at=now)
    return [published, CurrentQueue(queue.queue, version)]


def evolve(queue: Queue | None, fact: Any) -> Queue:
    """The queue after a fact."""
    if isinstance(fact, QueueDrafted):
        before = queue or Queue(fact.definition.queue)
        return changed(before, draft=fact.definition)
    if isinstance(fact, Definition):  # its draft may be lost: it never left
        return changed(queue or Queue(fact.queue), version=fact.version, draft=None, published=fact)
    if queue is None:
        raise ValueError(f"{type(fact).__name__} without a draft")
    return queue


def complete(given: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages with New before and Closed after them, where the draft left these out (S24)."""
    listed = tuple(given)
    first = () if listed and listed[0].state == stages.NEW else (NEW,)
    last = () if listed and listed[-1].state == stages.CLOSED else (CLOSED,)
    return (*first, *listed, *last)


def _draft(queue: Queue | None, message: messages.DraftQueue) -> list[QueueDrafted]:
    version = (queue.version if queue else 0) + 1
    drafted = changed(message.definition, stages=complete(message.definition.stages), version=version)
    errors = dict(_errors(drafted))
    if errors:
        raise Invalid("the queue cannot work like this", errors)
    return [QueueDrafted(drafted)]


def _errors(definition: Definition) -> Iterable[tuple[str, str]]:
    yield from _stage_errors(definition.stages)
    for name, minutes in definition.completion_minutes.items():
        if not 1 <= minutes <= MOST_MINUTES:
            yield f"/completion_minutes/{name}", f"must be between 1 and {MOST_MINUTES}"
    names = [reason.name for reason in definition.reasons]
    if len(set(names)) < len(names):
        yield "/reasons", "names must differ"
    if not 0 <= definition.reopen_days <= MOST_DAYS:
        yield "/reopen_days", f"must be between 0 and {MOST_DAYS}"


def _stage_errors(listed: tuple[Stage, ...]) -> Iterable[tuple[str, str]]:
    if len(listed) < 3:
        yield "/stages", "there must be at least one stage between New and Closed"
    names = [stage.name for stage in listed]
    if len({name.casefold() for name in names}) < len(names):
        yield "/stages", "names must differ"
    for at, stage in enumerate(listed):
        wanted = stages.NEW if at == 0 else stages.CLOSED if at == len(listed) - 1 else stages.IN_PROGRESS
        if stage.state != wanted:
            yield f"/stages/{at}/state", f"must be {wanted} here"
        if not stage.name.strip():
            yield f"/stages/{at}/name", "must not be blank"
        if stage.assignee not in ("staff", "client"):
            yield f"/stages/{at}/assignee", "must be staff or client"
        if stage.approval is not None:
            yield from _gate_errors(f"/stages/{at}/approval", stage.approval)


def _gate_errors(at: str, gate: Gate) -> Iterable[tuple[str, str]]:
    people = len(set(gate.approvers))
    if people == 0:
        yield f"{at}/approvers", "must name at least one person"
    if gate.policy.kind not in _POLICIES:
        yield f"{at}/policy/kind", "must be any, all or k"
    if gate.policy.kind == "k" and not 1 <= (gate.policy.k or 0) <= max(people, 1):
        yield f"{at}/policy/k", "must be between 1 and the number of approvers"
    if gate.due_minutes is not None and not 1 <= gate.due_minutes <= MOST_MINUTES:
        yield f"{at}/due_minutes", f"must be between 1 and {MOST_MINUTES}"


FACTS = (QueueDrafted, Definition, CurrentQueue)
"""Every class of facts about a queue."""
