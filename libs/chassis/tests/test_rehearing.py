"""What a service published and what it had heard, folded on in the order in which that happened."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from chassis.asked import Asked
from chassis.decision import SYSTEM
from chassis.ids import derived_id
from chassis.reading import Loaded
from chassis.recalling import CannotRecover, Heard, Pen, Told
from chassis.rehearing import Story
from contracts.envelope import Envelope
from testkit import toy
from testkit.deciding import Facts
from testkit.toy import Add, CountAt, Name, Till

NOON = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
TILL = uuid4()


def moment(n: int) -> datetime:
    return NOON + timedelta(seconds=n)


def millis(n: int) -> int:
    return int(moment(n).timestamp() * 1000)


def heard(number: int, message: Any, *, at: int, cause: UUID | None = None) -> Heard:
    identifier = uuid4()
    asked = Asked(
        subject=TILL, message=message, id=identifier, actor=SYSTEM, correlation_id=identifier, causation_id=cause,
        stream="other.stream", sequence=number, at=moment(at),
    )  # fmt: skip
    return Heard(asked, millis(at))


def told(number: int, amount: int, total: int, *, at: int, by: Heard | None = None, n: int = 0) -> Told:
    """`TillChanged`, as it was published; `by` caused it as the n-th fact, or else a person did."""
    cause = by.asked.id if by else uuid4()
    identifier = derived_id(cause, by.asked.made_at() if by else moment(at), n, "fact")
    envelope = Envelope(
        id=identifier, source="/throughline/toy", type="toy.till-changed", version=1, time=moment(at),
        subject=str(TILL), sequence=number, correlation_id=cause, causation_id=cause, hop=1 if by else 0,
    )  # fmt: skip
    value = orjson.dumps({"amount": amount, "total": total})
    return Told(envelope, "toy.tills", str(TILL), value, millis(at))


def story(own: Sequence[Told], queue: Sequence[Heard], row: Loaded[Till] | None = None) -> Story[Till]:
    return Story(Pen(toy.TILLS, TILL, row or Loaded(), lambda _: Facts()), own, {"other.stream": queue})


def unfolded(own: Sequence[Told], queue: Sequence[Heard], row: Loaded[Till] | None = None) -> Pen[Till]:
    pen = Pen(toy.TILLS, TILL, row or Loaded(), lambda _: Facts())
    Story(pen, own, {"other.stream": queue}).unfold()
    return pen


def types(pen: Pen[Till]) -> list[tuple[str, int | None]]:
    return [(line.columns.type, line.sequence) for line in pen.lines]


def test_what_was_published_counts_where_it_would_be_decided_otherwise_today() -> None:
    cause = heard(1, Add(5), at=1)
    pen = unfolded([told(1, 7, 7, at=2, by=cause)], [cause])
    assert pen.state == Till(total=7, added=1)
    assert pen.heard == {"other.stream": 1}
    assert [line.event_id for line in pen.lines] == [derived_id(cause.asked.id, moment(1), 0, "fact")]


def test_what_only_noted_is_decided_again_before_the_next_fact() -> None:
    first, noted, cause = heard(1, Add(1), at=1), heard(2, Name("north"), at=2), heard(3, Add(2), at=4)
    pen = unfolded([told(1, 1, 1, at=1, by=first), told(2, 2, 3, at=5, by=cause)], [first, noted, cause])
    assert types(pen) == [("toy.till-changed", 1), ("toy.named", None), ("toy.till-changed", 2)]
    assert pen.heard == {"other.stream": 3}


def test_what_came_later_than_the_last_fact_is_left_to_the_worker() -> None:
    cause, later = heard(1, Add(1), at=1), heard(2, Name("north"), at=9)
    pen = unfolded([told(1, 1, 1, at=2, by=cause)], [cause, later])
    assert pen.heard == {"other.stream": 1}


def test_what_would_tell_something_that_nobody_published_is_left_to_the_worker() -> None:
    unheard, mine = heard(1, Add(100), at=1), told(1, 4, 4, at=5)
    pen = unfolded([mine], [unheard])
    assert (pen.state, pen.heard) == (Till(total=4, added=1), {})


def test_what_told_nothing_then_tells_nothing_now_when_something_later_was_heard() -> None:
    refused_then, cause = heard(1, Add(100), at=1), heard(2, Add(1), at=2)
    pen = unfolded([told(1, 1, 1, at=3, by=cause)], [refused_then, cause])
    assert pen.state == Till(total=1, added=1)
    assert pen.heard == {"other.stream": 2}


def test_a_persons_fact_waits_for_the_noted_one_that_it_follows_on() -> None:
    opening, answer = heard(1, Name("north"), at=1), told(2, 2, 3, at=2)
    row = Loaded(exists=True, version=1, sequence=1, state=Till(total=1, added=1))
    pen = unfolded([answer], [opening], row)
    assert types(pen) == [("toy.named", None), ("toy.till-changed", 2)]
    assert [done.cause for done in pen.done] == [answer.envelope.causation_id]


def test_an_answer_is_not_heard_before_what_it_answers() -> None:
    own = told(1, 1, 1, at=5)
    answer = heard(1, Name("north"), at=3, cause=own.envelope.id)  # its server's clock is late
    pen = unfolded([own], [answer])
    assert pen.heard == {}


def test_a_fact_that_did_not_get_out_any_more_is_told_after_those_of_its_message() -> None:
    class Twice:
        """Decides two facts."""

    pair = heard(1, Twice(), at=1)
    aggregate = toy.TILLS.__class__(
        **{
            **{name: getattr(toy.TILLS, name) for name in toy.TILLS.__dataclass_fields__},
            "decide": lambda state, message, now, known: [toy.Added(1, 1), toy.Added(2, 3)],
        }
    )
    pen = Pen(aggregate, TILL, Loaded[Till](), lambda _: Facts())
    Story(pen, [told(1, 1, 1, at=2, by=pair)], {"other.stream": [pair]}).unfold()
    assert types(pen) == [("toy.till-changed", 1), ("toy.till-changed", 2)]
    assert pen.state == Till(total=3, added=2)


def test_a_missing_number_of_its_own_is_said() -> None:
    with pytest.raises(CannotRecover, match="does not hold number 1 of"):
        unfolded([told(2, 1, 1, at=1)], [])


def test_a_cause_that_no_topic_holds_any_more_is_said() -> None:
    gone, later = heard(1, Add(1), at=1), heard(3, CountAt(NOON), at=3)
    with pytest.raises(CannotRecover, match=r"what caused toy\.till-changed"):
        unfolded([told(1, 1, 1, at=2, by=gone)], [later])


def test_a_cause_that_was_not_read_lies_further_back() -> None:
    early, later = heard(1, Add(1), at=1), heard(2, Add(2), at=2)
    by_both = [told(1, 1, 1, at=3, by=early), told(2, 2, 3, at=4, by=later)]
    assert story(by_both, []).begins_late
    assert story(by_both, [later]).begins_late
    assert not story(by_both, [early, later]).begins_late


def test_what_a_person_or_a_client_caused_lies_nowhere_further_back() -> None:
    person, client = told(1, 1, 1, at=1), told(2, 2, 3, at=2, by=heard(1, Add(2), at=1))
    assert not story([person], []).begins_late
    pen = Pen(toy.TILLS, TILL, Loaded[Till](), lambda _: Facts(), {client.envelope.causation_id: "erp"}.get)
    assert not Story(pen, [person, client], {}).begins_late


def test_a_fact_that_was_decided_behind_later_ones_keeps_the_position() -> None:
    redelivered = heard(1, Add(1), at=1)
    row = Loaded(exists=True, version=3, heard={"other.stream": 4}, state=Till(total=0, added=0))
    own = [told(1, 1, 1, at=9, by=redelivered)]
    assert not story(own, [redelivered], row).begins_late
    pen = unfolded(own, [redelivered], row)
    assert (pen.state, pen.heard) == (Till(total=1, added=1), {"other.stream": 4})


def test_what_is_known_is_passed_over() -> None:
    cause = heard(1, Add(1), at=1)
    row = Loaded(exists=True, version=3, sequence=1, heard={"other.stream": 1}, state=Till(total=1, added=1))
    pen = Pen(toy.TILLS, TILL, row, lambda _: Facts())
    Story(pen, [told(1, 1, 1, at=2, by=cause)], {"other.stream": []}).unfold()
    assert not pen.changed
