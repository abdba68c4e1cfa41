"""A batch decided in memory: what fails half-way leaves nothing behind."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from chassis.agenda import due
from chassis.asked import Asked
from chassis.database import Database
from chassis.documents import Documents, Lookup
from chassis.folding import Fold
from chassis.reading import Loaded, Reading
from testkit import toy
from testkit.deciding import NOON
from testkit.toy import Add, Forward, Receipt, Till, asked, heard

TILL, OTHER = UUID(int=7), UUID(int=8)


def fold_of(**changes: Any) -> Fold[Till]:
    """A batch on one till with 5 in it."""
    rows: dict[UUID, Loaded[Till]] = {TILL: Loaded(True, 3, 2, 1, 1, {}, None, Till(5, 1))}
    documents = Documents(Database("postgresql://nowhere"))
    return Fold(replace(toy.TILLS, **changes), documents, Reading(NOON, rows, {}, {}, {}, {}, {}))


def stumbling(what: type) -> Any:
    """Fails at the second fact of a forward, when the first is folded already."""

    def stumble(*given: Any) -> Any:
        if any(isinstance(each, what) for each in given):
            raise ZeroDivisionError("planted")
        return []

    return stumble


def test_a_message_that_fails_at_its_second_fact_leaves_nothing_of_the_first() -> None:
    for part in ("children", "react"):
        fold = fold_of(**{part: stumbling(toy.Forwarded)})
        broken, fine = fold.take(asked(TILL, Forward(OTHER, 3))), fold.take(asked(TILL, Add(1)))
        assert isinstance(broken.error, ZeroDivisionError)
        assert fine.error is None
        assert fold.entries[TILL].state == Till(6, 2)
        assert [stated.fact for stated in fold.changes.stated] == [toy.Added(1, 6)]
        assert (fold.changes.children, fold.changes.reactions) == ([], [])
        assert fold.entries[TILL].sequence == 3


def test_a_message_whose_answer_cannot_be_made_changes_nothing() -> None:
    fold = fold_of(answer=lambda subject, state, facts: 1 / 0)
    assert isinstance(fold.take(asked(TILL, Add(1))).error, ZeroDivisionError)
    assert fold.touched() == []
    assert fold.changes.stated == []


def test_a_message_that_fails_asks_for_no_number() -> None:
    for part in ("children", "react"):
        fold = fold_of(**{part: stumbling(toy.Receipted)})
        assert isinstance(fold.take(asked(TILL, Receipt())).error, ZeroDivisionError)
        assert fold.draws.asked == {}
    fold = fold_of(answer=lambda subject, state, facts: 1 // (len(state.names) < 2))
    outcomes = [fold.take(asked(TILL, Receipt())) for _ in range(2)]
    assert [outcome.error is None for outcome in outcomes] == [True, False]
    assert fold.draws.asked == {"receipts": 1}


def test_what_waits_stays_behind_a_message_that_was_found_to_fail_before_it_was_read() -> None:
    fold = fold_of()
    fold.entries[TILL].blocked = "error"
    behind = heard(TILL, Add(1), 1, waiting_id=2, waited_since=NOON, behind=True)
    again = heard(TILL, Add(1), 1, "late.things", waiting_id=3, waited_since=NOON)
    assert [fold.take(each).waiting for each in (behind, again)] == [True, True]
    fold.unblock([TILL])
    assert (fold.entries[TILL].blocked, fold.changes.stated) == ("error", [])


def test_a_heard_refusal_moves_the_position_and_nothing_else() -> None:
    fold = fold_of()
    outcome = fold.take(heard(TILL, toy.Take(99), 1))
    assert outcome.refused is not None
    [entry] = fold.touched()
    assert (entry.heard, entry.state, fold.changes.stated) == ({"other.things": 1}, Till(5, 1), [])


def test_what_waits_behind_a_gap_waits_on_while_the_gap_is_there() -> None:
    fold = fold_of()
    fold.entries[TILL].blocked = "gap:late.things"
    gap = fold.take(heard(TILL, Add(1), 3, "late.things", waiting_id=1, waited_since=NOON))
    behind = fold.take(heard(TILL, Add(1), 1, "other.things", waiting_id=2, waited_since=NOON))
    fold.unblock([TILL])
    assert (gap.waiting, behind.waiting, fold.changes.stated) == (True, True, [])
    assert [(wait.reason, wait.next_at is None) for wait in fold.changes.still_waiting] == [
        ("gap", False),
        ("behind", True),
    ]
    assert fold.entries[TILL].blocked == "gap:late.things"


def test_a_request_that_flows_again_wakes_what_came_to_wait_since_the_sweep_read() -> None:
    fold = fold_of()
    fold.entries[TILL].blocked = "error"
    decided = fold.take(heard(TILL, Add(1), 1, waiting_id=1, waited_since=NOON))
    fold.unblock([TILL])
    assert not decided.waiting
    assert (fold.entries[TILL].blocked, fold.changes.due_now) == (None, {TILL})


def command(number: int) -> Asked:
    """A client's numbered command."""
    return asked(TILL, Add(1), stream="toy.commands.erp", sequence=number, record=b"{}", reply_to="erp", remember=True)


def test_a_number_of_a_client_is_used_once() -> None:
    fold = fold_of()
    first, again = fold.take(command(1)), fold.take(command(1))
    assert first.refused is None
    assert again.refused is not None
    assert again.refused.slug == "number-used"
    assert len(fold.changes.stated) == 1


def test_a_clients_earlier_number_is_waited_for() -> None:
    fold = fold_of()
    early = fold.take(command(2))
    assert (early.waiting, early.refused, fold.changes.stated) == (True, None, [])


def test_ids_that_a_message_makes_are_the_same_whenever_it_is_decided() -> None:
    one = asked(TILL, Add(1))
    documents = Documents(Database("postgresql://nowhere"))
    first, again = (Lookup(documents, Reading(NOON, {}, {}, {}, {}, {}, {}), {}, one) for _ in range(2))
    assert first.new_id() == again.new_id() != first.new_id(1)


def test_a_timer_has_the_same_id_however_often_it_is_found_due() -> None:
    till = Till(5, 1, count_at=NOON)
    (once,), (again,) = (due(toy.TILLS, TILL, till, NOON) for _ in range(2))
    (elsewhere,) = due(toy.TILLS, uuid4(), till, NOON)
    assert once.id == again.id != elsewhere.id
