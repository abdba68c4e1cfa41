"""Claims within a batch: a message knows what those before it took and released, and one that fails takes nothing."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from chassis.asked import Outcome
from chassis.claiming import Claims, HeldByAnother
from chassis.database import Database
from chassis.documents import Documents
from chassis.folding import Fold
from chassis.reading import Loaded, Reading
from testkit import toy
from testkit.deciding import NOON
from testkit.toy import Name, Till, Unname, asked

ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)
X = "name:x"


def fold_of(*names: str, holders: dict[str, UUID] | None = None, **changes: Any) -> Fold[Till]:
    """A batch on three tills, the first of which has these names."""
    tills = {ONE: Till(5, 1, names), TWO: Till(5, 1), THREE: Till(5, 1)}
    rows: dict[UUID, Loaded[Till]] = {till: Loaded(True, 1, 1, 1, 1, {}, None, state) for till, state in tills.items()}
    documents = Documents(Database("postgresql://nowhere"))
    return Fold(replace(toy.TILLS, **changes), documents, Reading(NOON, rows, {}, {}, {}, holders or {}, {}))


def became(outcome: Outcome) -> str:
    return outcome.refused.slug if outcome.refused else type(outcome.error).__name__ if outcome.error else "done"


def taken(fold: Fold[Till], *messages: tuple[UUID, Any]) -> list[str]:
    return [became(fold.take(asked(till, message))) for till, message in messages]


def test_the_second_of_a_batch_that_takes_a_claim_is_told_of_the_first() -> None:
    fold = fold_of()
    assert taken(fold, (ONE, Name("x")), (TWO, Name("x")), (TWO, Name("y"))) == ["done", "name-taken", "done"]
    assert fold.claims.taken == {X: ONE, "name:y": TWO}


def test_a_claim_is_given_on_as_often_as_a_batch_likes_and_netted_out() -> None:
    fold = fold_of("x")
    assert taken(fold, (ONE, Unname("x")), (TWO, Name("x"))) == ["done", "done"]
    assert (fold.claims.taken, fold.claims.released) == ({X: TWO}, {X: ONE})
    assert taken(fold, (TWO, Unname("x")), (THREE, Name("x"))) == ["done", "done"]
    assert (fold.claims.taken, fold.claims.released) == ({X: THREE}, {X: ONE})
    assert taken(fold, (THREE, Unname("x")), (ONE, Name("x"))) == ["done", "done"]
    assert (fold.claims.taken, fold.claims.released) == ({}, {})


def test_what_the_holder_releases_is_free_for_the_rest_of_the_batch_after_a_lost_race_too() -> None:
    fold = fold_of("x", holders={X: ONE})
    assert taken(fold, (TWO, Name("x")), (ONE, Unname("x")), (TWO, Name("x"))) == ["name-taken", "done", "done"]
    assert (fold.claims.taken, fold.claims.released) == ({X: TWO}, {X: ONE})


def test_who_takes_it_just_before_its_holder_releases_it_keeps_it() -> None:
    fold = fold_of("x")
    assert taken(fold, (TWO, Name("x")), (ONE, Unname("x")), (THREE, Name("x"))) == ["done", "done", "name-taken"]
    assert (fold.claims.taken, fold.claims.released) == ({X: TWO}, {X: ONE})


def test_what_a_message_took_and_gave_back_is_held_by_nobody_new() -> None:
    fold = fold_of()
    assert taken(fold, (ONE, Name("x")), (ONE, Unname("x")), (TWO, Name("x"))) == ["done", "done", "done"]
    assert (fold.claims.taken, fold.claims.released) == ({X: TWO}, {})


def test_a_message_that_fails_takes_no_claim() -> None:
    def answer(subject: UUID, state: Till, facts: Any) -> dict[str, Any]:
        return {"id": 1 // (subject != ONE)}

    fold = fold_of(answer=answer)
    assert taken(fold, (ONE, Name("x")), (TWO, Name("x"))) == ["ZeroDivisionError", "done"]
    assert fold.claims.taken == {X: TWO}


def test_a_decision_that_does_not_ask_for_the_holder_fails_alone() -> None:
    def heedless(state: Any, message: Any, now: Any, known: Any) -> list[Any]:
        return [toy.Named(message.name, True)]

    fold = fold_of(decide=heedless)
    assert taken(fold, (ONE, Name("x")), (TWO, Name("x"))) == ["done", "HeldByAnother"]
    assert (fold.claims.taken, fold.entries[TWO].state) == ({X: ONE}, Till(5, 1))


def test_an_aggregate_takes_its_own_claim_again_and_nothing_counts_of_a_message_that_takes_anothers() -> None:
    claims: Claims[Till] = Claims(toy.TILLS, {X: ONE, "name:z": TWO})
    claims.follow(ONE, Till(5, 1, ("x",)), Till(5, 1, ("x", "x")))
    claims.follow(ONE, None, Till(5, 1, ("x",)))
    with pytest.raises(HeldByAnother, match="name:z"):
        claims.follow(ONE, Till(5, 1, ("x",)), Till(5, 1, ("y", "z")))
    assert (claims.held, claims.taken, claims.released) == ({X: ONE, "name:z": TWO}, {X: ONE}, {})
