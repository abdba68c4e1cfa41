"""What faults must pass by is judged: each figure is let pass at its bound, and told beyond it."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from cli.door import Unanswered
from testkit.chaos.answers import Failure
from testkit.chaos.catalogue import SETS
from testkit.chaos.experiment import Result, judged
from testkit.chaos.faults import Fault
from testkit.chaos.laws import passing
from testkit.chaos.laws.passing import Course, broken, patience
from testkit.chaos.laws.recovering import BUSY
from testkit.chaos.operations import Operation, Operations, RecordingDoors

LONG = Course("long-transaction", "F16")
BURST = Course("burst", "F14", drained=20.0)
POISON = Course("poison", "F12")
ROLLING = Course("rolling", "F2", facts=1000)


def submit(seconds: float = 0.1, via: Any = "http", **more: Any) -> Operation:
    return Operation("submit", "k", via, more.pop("outcome", "ok"), seconds, **more)


def names(course: Course) -> list[str]:
    return [name for _, name, where, _ in broken(course) if where == course.fault]


@pytest.mark.parametrize("course", [LONG, BURST, POISON, ROLLING, Course("reconcile", "operators"), Course("storm")])
def test_a_run_in_which_nothing_stands_out_passes(course: Course) -> None:
    assert broken(course) == []


def test_laws_are_of_sets_that_there_are() -> None:
    assert set(passing.LAWS) <= set(SETS)


@pytest.mark.parametrize(
    ("status", "after", "told"),
    [
        (503, "2", []),
        (429, "1", []),
        (503, "", ["turned-away-for-good"]),
        (429, "", ["turned-away-for-good"]),
        (503, "soon", ["turned-away-for-good"]),
        (500, "2", ["turned-away-for-good"]),
        (504, "2", ["turned-away-for-good"]),
    ],
)
def test_whoever_cannot_be_served_is_told_so_by_503_or_429_and_when_to_come_again(
    status: int, after: str, told: list[str]
) -> None:
    failures = [Failure("POST /intake/v1/requests", 503, "2"), Failure("POST /intake/v1/requests", status, after)]
    for course in (Course("postgres-kill", "F6"), Course("storm", "F18"), ROLLING):
        assert names(replace(course, failures=failures)) == told


@pytest.mark.parametrize(("repeats", "told"), [(0, []), (9, []), (10, ["too-many-repeats"])])
def test_a_rolling_restart_repeats_less_than_a_hundredth(repeats: int, told: list[str]) -> None:
    assert names(replace(ROLLING, repeats=repeats)) == told
    assert names(Course("kill-relay", "F1", facts=1000, repeats=repeats)) == []


@pytest.mark.parametrize(
    ("seconds", "slowed", "told"),
    [
        (2.0 * BUSY, 1.0, []),
        (2.0 * BUSY + 0.1, 1.0, ["unsent-for-long"]),
        (2.0 * 4, 4.0, []),
        (2.0 * 4 + 0.1, 4.0, ["unsent-for-long"]),
    ],
)
def test_facts_go_out_behind_a_long_transaction_as_fast_as_the_machine_lets_them(
    seconds: float, slowed: float, told: list[str]
) -> None:
    assert names(replace(LONG, oldest_unsent=seconds, slowed=slowed)) == told


@pytest.mark.parametrize("via", ["http", "topic"])
def test_half_of_those_beside_poison_are_served_at_once_on_each_way(via: Any) -> None:
    most = passing.BESIDE_POISON * BUSY
    other = "http" if via == "topic" else "topic"
    fast = [submit(0.1, other)] * 9
    assert names(replace(POISON, asked=[*fast, submit(most, via), submit(90.0, via)])) == []
    slow = replace(POISON, asked=[*fast, submit(0.1, via), submit(most + 0.1, via), submit(90.0, via)])
    assert names(slow) == ["slow-beside-poison"]
    assert names(replace(slow, slowed=4.0)) == []


def test_nobody_is_refused_because_of_others_poison() -> None:
    assert names(replace(POISON, unanswered=["life 7: 422 invalid"])) == ["refused-beside-poison"]


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        (submit(outcome="refused", status=400, slug="invalid"), ["shed-for-good"]),
        (submit(outcome="refused", status=503, slug="overloaded"), []),
        (submit(outcome="unknown"), []),
        (Operation("close", "k", "http", "refused", 0.1, status=409, slug="already-closed"), []),
    ],
)
def test_a_burst_is_not_refused_for_good(operation: Operation, told: list[str]) -> None:
    assert names(replace(BURST, asked=[submit(), operation])) == told


@pytest.mark.parametrize(
    ("drained", "told"),
    [(passing.DRAINED_WITHIN, []), (passing.DRAINED_WITHIN + 0.1, ["not-drained"]), (None, ["not-drained"])],
)
def test_a_burst_is_done_within_minutes_and_waited_for_as_long(drained: float | None, told: list[str]) -> None:
    assert names(replace(BURST, drained=drained)) == told
    assert patience("F14") == passing.DRAINED_WITHIN > patience("F1")


def test_an_orphan_that_a_reconciliation_names_is_a_violation() -> None:
    assert names(Course("reconcile", "operators", orphans=["not-billed under load"])) == ["orphan-told"]


class Holding(Fault):
    """A long transaction behind which a fact waited for a minute."""

    oldest_unsent = 60.0

    async def strike(self) -> None:
        return


def test_a_run_fails_by_a_figure_that_its_fault_must_not_reach() -> None:
    ran = Result("long-transaction", 7, proof="held", recovered=1.0, ended={"heal": 1.0, "quiet": 2.0})
    failures = [Failure("GET /", 500, "")]
    ran.violations = judged(ran, Holding(), [], failures, True)
    assert [(each.invariant, each.name) for each in ran.violations] == [
        ("I1", "turned-away-for-good"), ("I11", "unsent-for-long"),
    ]  # fmt: skip
    assert ran.failed
    assert ran.turned_away == 1


async def test_every_attempt_that_a_door_could_not_serve_is_entered_whoever_repeats_it() -> None:
    operations = Operations()
    answers = iter(
        [
            httpx2.Response(503, headers={"retry-after": "2"}),
            httpx2.Response(502),
            httpx2.Response(200, json={"items": []}),
        ]
    )
    doors = RecordingDoors(operations, {"intake": "http://door"}, lambda _: "", patience=5.0, connections=1)
    [client] = doors._clients["intake"]
    client._transport = httpx2.MockTransport(lambda _: next(answers))
    await doors.get("somebody", "intake", "/requests")
    assert operations.failures == [
        Failure("GET /intake/v1/requests", 503, "2"), Failure("GET /intake/v1/requests", 502, ""),
    ]  # fmt: skip
    answers = iter([httpx2.Response(429)])
    careless = RecordingDoors(operations, {"intake": "http://door"}, lambda _: "", patience=-1.0, connections=1)
    careless._clients["intake"][0]._transport = client._transport
    with pytest.raises(Unanswered):
        await careless.get("somebody", "intake", "/requests")
    assert operations.failures[2:] == [Failure("GET /intake/v1/requests", 429, "")]
    await doors.close()
    await careless.close()
