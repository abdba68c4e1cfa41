"""Progress and regress are acts like others: each moves its request once, by HTTP or a topic, and nothing else does."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import pytest

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence
from testkit.chaos.laws.acceptance import acts_happen_once, grants_move_once
from testkit.chaos.operations import Operation, Operations, Outcome

REQUEST = UUID(int=7)
FORTH, BACK = {"direction": "progress"}, {"direction": "regress"}
NEXT_RELEASE = {"move": "progress"}
GRANTED = {"direction": "progress", "transition_id": "t1"}
ASKED: dict[str, Any] = {}

Asked = tuple[str, Literal["http", "topic"], Outcome]
PROGRESS: Asked = "progress", "http", "ok"
REGRESS: Asked = "regress", "topic", "ok"


def evidence(asked: list[Asked], *moves: dict[str, Any]) -> Evidence:
    operations = [Operation(what, f"k{n}", via, how, 0.1, REQUEST) for n, (what, via, how) in enumerate(asked)]
    facts = [
        Heard("workflow.requests", f"workflow.{'stage-changed' if move else 'transition-requested'}", REQUEST, n,
              UUID(int=n), datetime.now(UTC), move)
        for n, move in enumerate(moves, 1)
    ]  # fmt: skip
    return Evidence(Operations(operations), facts=facts)


@pytest.mark.parametrize(
    ("asked", "moves"),
    [
        ([PROGRESS], [FORTH]),
        ([PROGRESS], [ASKED]),
        ([PROGRESS], [ASKED, GRANTED]),
        ([PROGRESS], [NEXT_RELEASE]),
        ([PROGRESS, REGRESS, PROGRESS], [FORTH, BACK, FORTH]),
        ([PROGRESS, ("progress", "topic", "unknown")], [FORTH]),
        ([PROGRESS, ("progress", "topic", "unknown")], [FORTH, FORTH]),
        ([("progress", "http", "refused")], []),
        ([], [{"direction": "close"}, {"direction": "reopen"}, {"direction": "jump"}]),
    ],
)
def test_every_accepted_move_is_there_once(asked: list[Asked], moves: list[dict[str, Any]]) -> None:
    assert list(acts_happen_once(evidence(asked, *moves))) == []


@pytest.mark.parametrize(
    ("asked", "moves", "found"),
    [
        ([PROGRESS], [], ("act-lost", "progress")),
        ([("progress", "topic", "ok")], [BACK], ("act-lost", "progress")),
        ([REGRESS], [FORTH], ("act-lost", "regress")),
        ([PROGRESS], [FORTH, FORTH], ("act-repeated", "progress")),
        ([PROGRESS], [ASKED, ASKED], ("act-repeated", "progress")),
        ([PROGRESS], [ASKED, NEXT_RELEASE], ("act-repeated", "progress")),
        ([REGRESS], [BACK, BACK], ("act-repeated", "regress")),
        ([("regress", "http", "ok")], [BACK, BACK], ("act-repeated", "regress")),
        ([PROGRESS, ("progress", "topic", "unknown")], [FORTH] * 3, ("act-repeated", "progress")),
        ([("progress", "http", "refused")], [FORTH], ("act-unasked", "progress")),
        ([PROGRESS], [FORTH, BACK], ("act-unasked", "regress")),
    ],
)
def test_a_move_that_is_lost_doubled_or_nobodys_is_found(
    asked: list[Asked], moves: list[dict[str, Any]], found: tuple[str, str]
) -> None:
    broken = {(name, where.partition(" ")[0]) for name, where, _ in acts_happen_once(evidence(asked, *moves))}
    assert found in broken


def test_what_was_approved_moves_once_however_often_it_is_told() -> None:
    once = evidence([PROGRESS], ASKED, GRANTED)
    once.facts.append(once.facts[-1])
    assert list(grants_move_once(once)) == []
    [(name, where, _)] = grants_move_once(evidence([PROGRESS], ASKED, GRANTED, GRANTED))
    assert (name, where) == ("moved-twice", str(REQUEST))
    assert list(grants_move_once(evidence([PROGRESS], ASKED, GRANTED, {**GRANTED, "transition_id": "t2"}))) == []
