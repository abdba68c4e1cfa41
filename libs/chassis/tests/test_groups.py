"""A group of the journal after a restart, pure: what was left unsent is read a little at a time, and none forgotten."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from chassis.clock import utc_now
from chassis.groups import Group
from chassis.holes import loaded
from chassis.lanes import Lane

NOW = utc_now()
HIGH, HOLE = 3_000, 2_000
NUMBERS = range(1, HIGH + 1)
STAMPS = ["77" if n == HOLE else "0" for n in NUMBERS]


class Hung(Lane):
    """A lane whose batches never end."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic, cast(Any, None), "/t/toy", 1, lambda _: None)
        self.sent: list[int] = []

    def start(self, group: int, rows: Sequence[Any]) -> None:
        self.sent += [row["seq"] for row in rows]


def left_unsent() -> Group:
    """Everything of it was read by an earlier relay, but for one number that may still appear."""
    return Group(0, loaded(HIGH, NUMBERS, STAMPS), Hung)


def polled(group: Group, ready: Iterable[Lane], *, found: bool = True) -> list[int]:
    """What a poll of 500 asked for, all of it found, or nothing."""
    asked = group.missed(set(ready), 500)
    rows = [{"seq": n, "topic": "toy.tills", "recorded_at": NOW} for n in asked if n != HOLE] if found else []
    group.take(rows, 50, 90, set(ready), now=NOW, read=not group.full, asked=asked)
    return sorted(set(asked) - {HOLE})


def test_numbers_left_unsent_are_asked_for_a_little_at_a_time_and_those_that_may_appear_every_time() -> None:
    group = left_unsent()
    assert group.cursor.holes == {HOLE: 77}
    assert sorted(group.missed(set(), 500)) == [*range(1, 501), HOLE]
    assert polled(group, ()) == [*range(1, 501)]
    assert sorted(group.missed(set(), 500)) == [*range(501, 1001), HOLE]


def test_until_all_are_read_again_the_row_stays_as_it_is_and_nothing_later_is_read() -> None:
    group = left_unsent()
    row = group.row()
    for _ in range(6):
        assert group.full
        polled(group, ())
        assert group.row() == row
    assert not group.full
    assert group.missed(set(), 500) == [HOLE]


def test_what_was_read_again_and_not_sent_is_asked_for_in_its_turn_and_sent() -> None:
    group = left_unsent()
    polled(group, ())
    (lane,) = cast(list[Hung], [*group.lanes.values()])
    assert polled(group, [lane]) == [*range(1, 1001)]
    assert lane.sent == [*range(1, 501), *range(1, 1001)]


def test_a_lane_sends_nothing_behind_a_number_whose_topic_is_not_known_yet() -> None:
    group = left_unsent()
    polled(group, ())
    (lane,) = cast(list[Hung], [*group.lanes.values()])
    assert lane.sent == [*range(1, 501)]
    lane.unsent.clear()
    appeared = {"seq": HOLE, "topic": "toy.tills", "recorded_at": NOW}
    group.take([appeared], 50, 90, {lane}, now=NOW, read=False, asked=[HOLE])
    assert lane.again(500) == [HOLE]
    assert lane.sent == [*range(1, 501)]


def test_a_number_that_was_asked_for_and_is_gone_is_forgotten_and_no_other() -> None:
    group = left_unsent()
    polled(group, (), found=False)
    assert group.row()[1] == [*range(501, HIGH + 1)]


def test_a_document_that_is_to_be_read_again_anyway_is_not_told_again_before() -> None:
    group = left_unsent()
    row = {"seq": HIGH, "topic": "toy.tills", "recorded_at": NOW}
    group.tell_again(row)
    assert group.lanes == {}
    while group.full:
        polled(group, ())
    (lane,) = cast(list[Hung], [*group.lanes.values()])
    lane.unsent.clear()
    group.tell_again(row)
    assert lane.again(500) == [HIGH]
