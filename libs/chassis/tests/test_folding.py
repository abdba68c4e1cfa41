"""A batch decided in memory: what fails half-way leaves nothing behind."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from chassis.agenda import due
from chassis.asked import Asked
from chassis.changes import Entry
from chassis.database import Database
from chassis.documents import Documents, Lookup
from chassis.folding import UNKNOWN_FOR, Fold
from chassis.reading import Loaded, Reading
from testkit import toy
from testkit.deciding import NOON
from testkit.toy import Add, Forward, Receipt, Till, asked, heard

TILL, OTHER = UUID(int=7), UUID(int=8)
ADD = Add(1)


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


def raising(error: Exception, for_: type) -> Any:
    """Decides as the toy does, but for one kind of message."""

    def decide(state: Any, message: Any, *given: Any) -> Any:
        if isinstance(message, for_):
            raise error
        return toy.decide(state, message, *given)

    return decide


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
    failing = heard(TILL, toy.Explode(), 1, "failing.things", waiting_id=1, waited_since=NOON)
    behind = heard(TILL, Add(1), 1, waiting_id=2, waited_since=NOON, behind=(failing,))
    again = heard(TILL, Add(1), 1, "late.things", waiting_id=3, waited_since=NOON)
    assert [fold.take(each).waiting for each in (behind, again)] == [True, True]
    fold.unblock([TILL])
    assert (fold.entries[TILL].blocked, fold.changes.stated) == ("error", [])


def test_what_was_found_to_wait_and_is_decided_since_holds_up_nothing() -> None:
    """Another process has decided the first meanwhile and left the second for later: that is tried, not put to rest."""
    first, second, third = (heard(TILL, toy.Explode(), n, waiting_id=n, waited_since=NOON) for n in (1, 2, 3))
    fold = fold_of()
    fold.entries[TILL].heard = {"other.things": 1}
    waiting = [fold.take(replace(each, behind=(first,))).waiting for each in (second, third)]
    assert waiting == [True, True]
    assert [(wait.reason, wait.next_at is None) for wait in fold.changes.still_waiting] == [
        ("error", False),
        ("behind", True),
    ]


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


def command(number: int, message: Any = ADD, **more: Any) -> Asked:
    """A client's numbered command."""
    said = {"stream": "toy.commands.erp", "record": b"{}", "reply_to": "erp", "remember": True, **more}
    return asked(TILL, message, sequence=number, **said)


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


def test_what_a_client_leaves_out_holds_up_nobody_else() -> None:
    fold = fold_of()
    waiting = [fold.take(command(n, waiting_id=n, waited_since=NOON)) for n in (2, 3)]
    other = fold.take(command(1, stream="toy.commands.shop", reply_to="shop", waiting_id=4, waited_since=NOON))
    fact = fold.take(heard(TILL, ADD, 1, waiting_id=5, waited_since=NOON))
    fold.unblock([TILL])
    assert [one.waiting for one in (*waiting, other, fact)] == [True, True, False, False]
    assert (fold.entries[TILL].blocked, fold.holds_up(TILL)) == (None, False)


def test_a_command_that_names_what_is_unknown_or_that_fails_holds_up_its_own_numbers_alone() -> None:
    for why in (toy.NoSuchTill("planted"), ZeroDivisionError("planted")):
        fold = fold_of(decide=raising(why, for_=toy.Take))
        first, later = fold.take(command(1, toy.Take(1))), fold.take(command(2))
        fact = fold.take(heard(TILL, ADD, 1))
        assert (first.waiting, later.waiting, fact.waiting) == (True, True, False)
        assert fold.entries[TILL].blocked is None


def test_a_request_flows_again_whatever_a_client_still_waits_for() -> None:
    fold = fold_of()
    fold.entries[TILL].blocked = "gap:other.things"
    early = fold.take(command(2, waiting_id=1, waited_since=NOON))
    fold.take(heard(TILL, ADD, 1, waiting_id=2, waited_since=NOON))
    fold.unblock([TILL])
    assert (early.waiting, fold.entries[TILL].blocked) == (True, None)


def test_a_command_behind_one_that_waits_is_not_refused_for_a_number_that_came() -> None:
    fold = fold_of()
    long_ago = NOON - 2 * UNKNOWN_FOR
    failing = fold.take(command(1, toy.Explode(), waiting_id=1, waited_since=long_ago))
    behind = fold.take(command(2, waiting_id=2, waited_since=long_ago))
    assert (failing.waiting, behind.waiting, behind.refused) == (True, True, None)


def test_a_number_that_is_refused_as_missing_wakes_what_rests_behind_it() -> None:
    fold = fold_of()
    missing = fold.take(command(2, waiting_id=1, waited_since=NOON - UNKNOWN_FOR))
    assert (missing.refused is not None, fold.changes.due_now) == (True, {TILL})


def test_a_clients_numbers_that_wait_for_something_that_is_not_here_leave_no_row() -> None:
    fold = fold_of()
    fold.entries[TILL] = Entry(TILL, Loaded(), {}, 0, 0, None)
    waiting = [fold.take(command(n, waiting_id=n, waited_since=NOON)) for n in (2, 3)]
    fold.unblock([TILL])
    assert [(wait.reason, wait.next_at is None) for wait in fold.changes.still_waiting] == [
        ("gap", False),
        ("behind", True),
    ]
    assert ([one.waiting for one in waiting], fold.touched()) == ([True, True], [])


def test_a_number_that_was_decided_wakes_the_next_one_that_waits() -> None:
    for message in (ADD, toy.Take(99)):
        fold = fold_of()
        fold.take(command(1, message))
        assert fold.changes.due_now == {TILL}


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
