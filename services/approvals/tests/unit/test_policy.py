"""When an approval is granted or refused."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.domain.messages import Policy
from approvals.domain.policy import approver_set, needed, verdict
from approvals.domain.records import Person
from approvals.domain.state import Approval, Vote
from testkit.deciding import Facts

ANNA, BO, CLEO = (UUID(int=n) for n in (1, 2, 3))


def approval(asked: int, need: int, *decisions: str) -> Approval:
    people = tuple(UUID(int=n) for n in range(asked))
    votes = tuple(Vote(person, decision) for person, decision in zip(people, decisions, strict=False))
    return Approval(
        UUID(int=99), UUID(int=98), "New", "Work", 1, "hash", people, need, datetime(2026, 1, 1, tzinfo=UTC), votes
    )


@pytest.mark.parametrize(
    ("policy", "asked", "expected"),
    [
        (Policy("any"), 3, 1),
        (Policy("all"), 3, 3),
        (Policy("k", 2), 3, 2),
        (Policy("k", 4), 3, 4),
        (Policy("k", 1), 3, 1),
        (Policy("k", 0), 3, None),
        (Policy("k", -1), 3, None),
        (Policy("k"), 3, None),
        (Policy("most"), 3, None),
    ],
)
def test_P9_a_policy_says_how_many_must_agree(policy: Policy, asked: int, expected: int | None) -> None:
    assert needed(policy, asked) == expected


@pytest.mark.parametrize(
    ("asked", "need", "votes", "expected"),
    [
        (3, 2, ["approve"], None),
        (3, 2, ["approve", "approve"], "granted"),
        (3, 2, ["refuse"], None),
        (3, 2, ["refuse", "refuse"], "refused"),
        (3, 2, ["refuse", "approve"], None),
        (3, 2, ["refuse", "approve", "approve"], "granted"),
        (3, 3, ["approve", "approve"], None),
        (3, 3, ["refuse"], "refused"),
        (3, 1, ["refuse", "refuse"], None),
        (3, 1, ["refuse", "refuse", "refuse"], "refused"),
    ],
)
def test_P9_granted_when_enough_agree_and_refused_when_enough_can_no_longer(
    asked: int, need: int, votes: list[str], expected: str | None
) -> None:
    assert verdict(approval(asked, need, *votes)) == expected


@given(st.data(), st.integers(1, 7))
def test_P9_once_everybody_voted_there_is_a_verdict_and_it_is_the_majority_asked_for(
    data: st.DataObject, asked: int
) -> None:
    need = data.draw(st.integers(1, asked))
    votes = data.draw(st.lists(st.sampled_from(["approve", "refuse"]), min_size=asked, max_size=asked))
    assert verdict(approval(asked, need, *votes)) == ("granted" if votes.count("approve") >= need else "refused")


@given(st.data(), st.integers(1, 6))
def test_P9_a_verdict_never_turns(data: st.DataObject, asked: int) -> None:
    need = data.draw(st.integers(1, asked))
    votes = data.draw(st.lists(st.sampled_from(["approve", "refuse"]), min_size=asked, max_size=asked))
    verdicts = [verdict(approval(asked, need, *votes[:n])) for n in range(asked + 1)]
    reached = [each for each in verdicts if each]
    assert len(set(reached)) == 1
    assert verdicts[-len(reached) :] == reached


def test_the_one_who_asks_and_those_switched_off_are_not_asked() -> None:
    staff = (Person(ANNA, True), Person(BO, False), Person(CLEO, True))
    known = Facts({("person", str(each.person_id)): each for each in staff})
    assert approver_set([ANNA, BO, CLEO], CLEO, known) == (ANNA,)


def test_somebody_named_twice_is_asked_once() -> None:
    known = Facts({("person", str(ANNA)): Person(ANNA, True)})
    assert approver_set([ANNA, ANNA], None, known) == (ANNA,)


def test_somebody_whose_document_has_not_arrived_is_still_asked() -> None:
    assert approver_set([ANNA], None, Facts()) == (ANNA,)
