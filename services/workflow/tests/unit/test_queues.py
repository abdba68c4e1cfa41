"""Queues: drafted, published, never changed afterwards."""

from typing import Any
from uuid import UUID

import pytest

from chassis.decision import Invalid, changed
from testkit.deciding import NOON, Facts
from workflow.domain import priority, queues, refusals
from workflow.domain.messages import DraftQueue, PublishQueue
from workflow.domain.records import Definition, Gate, Policy, Stage, WaitReason

KNOWN = Facts()
SOMEBODY, ANOTHER = UUID(int=1), UUID(int=2)


def drafted(definition: Definition, queue: queues.Queue | None = None) -> queues.Queue:
    for fact in queues.decide(queue, DraftQueue(definition), NOON, KNOWN):
        queue = queues.evolve(queue, fact)
    assert queue is not None
    return queue


def published(queue: queues.Queue) -> queues.Queue:
    for fact in queues.decide(queue, PublishQueue(), NOON, KNOWN):
        queue = queues.evolve(queue, fact)
    return queue


def test_S26_a_draft_runs_nothing_until_it_is_published(definition: Definition) -> None:
    queue = drafted(definition)
    assert (queue.version, queue.published) == (0, None)
    document, current = queues.decide(queue, PublishQueue(), NOON, KNOWN)
    assert (document.version, document.published_at) == (1, NOON)
    assert current == queues.CurrentQueue("support", 1)


def test_a_published_version_is_left_alone_by_the_next_draft(definition: Definition) -> None:
    first = published(drafted(definition))
    second = drafted(changed(definition, name="Helpdesk"), first)
    assert second.published == first.published
    after = published(second)
    assert after.published is not None
    assert (after.version, after.published.name) == (2, "Helpdesk")


def test_nothing_is_published_twice(definition: Definition) -> None:
    with pytest.raises(refusals.NothingToPublish):
        queues.decide(published(drafted(definition)), PublishQueue(), NOON, KNOWN)
    with pytest.raises(refusals.NoSuchQueue):
        queues.decide(None, PublishQueue(), NOON, KNOWN)


def test_S24_new_and_closed_are_added_where_they_are_left_out(definition: Definition) -> None:
    queue = drafted(changed(definition, stages=(Stage("Work", "in-progress"),)))
    assert queue.draft is not None
    assert [(stage.name, stage.state) for stage in queue.draft.stages] == [
        ("New", "new"),
        ("Work", "in-progress"),
        ("Closed", "closed"),
    ]


WORK = Stage("Work", "in-progress")
TEN_YEARS = 5_256_000


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"stages": (queues.NEW, queues.CLOSED)}, "/stages"),
        ({"stages": (WORK, Stage("work", "in-progress"))}, "/stages"),
        ({"stages": (WORK, queues.NEW, queues.CLOSED)}, "/stages/2/state"),
        ({"stages": (WORK, Stage("Half", "closed"), WORK)}, "/stages/2/state"),
        ({"stages": (Stage(" ", "in-progress"),)}, "/stages/1/name"),
        ({"stages": (changed(WORK, assignee="nobody"),)}, "/stages/1/assignee"),
        ({"stages": (changed(WORK, approval=Gate(Policy("any"), ())),)}, "/stages/1/approval/approvers"),
        ({"stages": (changed(WORK, approval=Gate(Policy("most"), (SOMEBODY,))),)}, "/stages/1/approval/policy/kind"),
        ({"stages": (changed(WORK, approval=Gate(Policy("k", 0), (SOMEBODY,))),)}, "/stages/1/approval/policy/k"),
        ({"stages": (changed(WORK, approval=Gate(Policy("k", 2), (SOMEBODY,))),)}, "/stages/1/approval/policy/k"),
        ({"stages": (changed(WORK, approval=Gate(Policy("any"), (SOMEBODY,), 0)),)}, "/stages/1/approval/due_minutes"),
        ({"completion_minutes": {"high": 0}}, "/completion_minutes/high"),
        ({"completion_minutes": {"high": TEN_YEARS + 1}}, "/completion_minutes/high"),
        (
            {"stages": (changed(WORK, approval=Gate(Policy("any"), (SOMEBODY,), TEN_YEARS + 1)),)},
            "/stages/1/approval/due_minutes",
        ),
        ({"reasons": (WaitReason("a", True, "other"), WaitReason("a", False, "vendor"))}, "/reasons"),
        ({"reopen_days": -1}, "/reopen_days"),
        ({"reopen_days": 3_651}, "/reopen_days"),
    ],
)
def test_S22_a_queue_that_cannot_work_is_refused_with_the_place(
    definition: Definition, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        drafted(changed(definition, **fields))
    assert pointer in [error["pointer"] for error in refused.value.facts["errors"]]


@pytest.mark.parametrize(("minutes", "days"), [(1, 0), (TEN_YEARS, 3_650)])
def test_allowed_times_reach_from_a_minute_to_ten_years(definition: Definition, minutes: int, days: int) -> None:
    gated = changed(WORK, approval=Gate(Policy("any"), (SOMEBODY,), minutes))
    fields = {"completion_minutes": {"high": minutes}, "stages": (gated,), "reopen_days": days}
    assert drafted(changed(definition, **fields)).draft is not None


def test_as_many_as_there_are_approvers_may_be_needed(definition: Definition) -> None:
    gate = Gate(Policy("k", 2), (SOMEBODY, ANOTHER), 1)
    assert drafted(changed(definition, stages=(changed(WORK, approval=gate),))).draft is not None


def test_S38_undefined_combinations_are_filled_and_defined_ones_kept(definition: Definition) -> None:
    document = published(drafted(definition)).published
    assert document is not None
    assert document.matrix["low"]["low"] == "low"
    assert document.matrix["high"]["high"] == "critical"
    assert document.matrix["medium"]["medium"] == "medium"
    assert all(set(row) == set(priority.LEVELS) for row in document.matrix.values())


def test_S39_medium_and_medium_is_medium() -> None:
    assert priority.filling("medium", "medium") == "medium"


@pytest.mark.parametrize("fixed", priority.LEVELS)
def test_the_filling_never_falls_when_urgency_or_impact_rises(fixed: str) -> None:
    order = ("low", "medium", "high", "critical")
    rising = [order.index(priority.filling(level, fixed)) for level in priority.LEVELS]
    assert rising == sorted(rising)
    assert rising == [order.index(priority.filling(fixed, level)) for level in priority.LEVELS]


def test_a_level_that_nobody_knows_counts_as_medium() -> None:
    assert priority.filling("extreme", "medium") == "medium"
