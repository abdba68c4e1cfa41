"""Hearing in memory, step by step: facts come twice, late, in any order or not at all, and are decided once, in order.

The table of waiting messages is a small model here; `test_waiting.py` and `test_stream.py` run the same promise
against real servers.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from chassis.applying import WOKEN
from chassis.asked import Asked
from chassis.database import Database
from chassis.documents import Documents
from chassis.folding import UNKNOWN_FOR, Fold
from chassis.reading import Loaded, Reading
from testkit import toy
from testkit.deciding import NOON
from testkit.toy import NAMESPACE, Add, Explode, Take, heard

TILL = UUID(int=7)
STREAMS = ("late.things", "early.things")
MESSAGES: dict[str, Any] = {
    "add": Add(1),
    "unhandled": None,
    "refused": Take(1_000_000),
    "fails once": Explode(1),
    "fails twice": Explode(2),
}
COMMANDS = "toy.commands.erp"
"""What a client numbers: what it leaves out never comes."""


@dataclass
class Row:
    """A row of the table of waiting messages."""

    n: int
    asked: Asked
    reason: str
    attempts: int
    next_at: datetime | None
    first_at: datetime


@dataclass
class Store:
    """What is committed: one aggregate's row, what waits for it, what was stated, what was put away."""

    row: Loaded[toy.Till] = field(default_factory=Loaded)
    waiting: list[Row] = field(default_factory=list)
    stated: list[Asked] = field(default_factory=list)
    """For every decision that stated facts, what was decided."""
    dead: list[Asked] = field(default_factory=list)
    numbers: int = 0

    def commit(self, fold: Fold[toy.Till]) -> None:
        """What the apply statement does, part by part; of two parts that change one row the first counts."""
        changes, written = fold.changes, set[int]()
        for entry in fold.touched():
            self.row = Loaded(
                True, self.row.version + 1, entry.sequence, entry.edit_version, 1, entry.heard, entry.blocked,
                entry.state,
            )  # fmt: skip
        self.waiting = [row for row in self.waiting if row.n not in changes.decided_waiting]
        was_there = list(self.waiting)
        for wait in changes.still_waiting:
            for row in was_there:
                if row.n == wait.asked.waiting_id and wait.reason != "behind":
                    written.add(row.n)
                    row.reason, row.attempts, row.next_at = wait.reason, wait.attempts, wait.next_at
        for wait in changes.waits:
            if all(row.asked.id != wait.asked.id for row in self.waiting):
                self.numbers += 1
                next_at = fold.now if changes.due_now and wait.reason in WOKEN else wait.next_at
                self.waiting.append(Row(self.numbers, wait.asked, wait.reason, wait.attempts, next_at, fold.now))
        for row in was_there if changes.due_now else ():
            if row.n not in written and row.reason in WOKEN:
                written.add(row.n)
                row.next_at = fold.now
        resting = {wait.asked.stream for wait in changes.still_waiting if wait.reason == "behind"}
        for row in was_there if resting else ():
            rests = row.asked.stream in resting or fold.holds_up(TILL)
            if rests and row.n not in written and row.next_at is not None:
                row.reason, row.next_at = "behind", None
        self.stated += [each.asked for each in changes.stated if each.first]
        self.dead += [asked for asked, _ in changes.dead]

    def facts(self) -> list[Row]:
        """What waits of what was heard."""
        return [row for row in self.waiting if row.asked.reply_to is None]

    def in_order(self) -> list[Asked]:
        """What waits, as the sweep reads it: streams by their oldest row, each in its order."""
        first = {row.asked.stream: 0 for row in self.waiting}
        first = {stream: min(row.n for row in self.waiting if row.asked.stream == stream) for stream in first}
        rows = sorted(self.waiting, key=lambda row: (first[row.asked.stream], row.asked.sequence, row.n))
        return [self._asked(row) for row in rows]

    @staticmethod
    def _asked(row: Row) -> Asked:
        return replace(
            row.asked, waiting_id=row.n, waited_since=row.first_at, waited_for=row.reason, next_at=row.next_at,
            attempts=row.attempts,
        )  # fmt: skip


def _holds_up(fold: Fold[toy.Till], asked: Asked) -> bool:
    """Whether what was just decided to wait lets nothing of its request pass, whatever stream that comes on."""
    if asked.reply_to is not None:
        return False
    waits = [wait for wait in fold.changes.waits + fold.changes.still_waiting if wait.asked.id == asked.id]
    return any(wait.reason == "error" or (wait.reason == "gap" and asked.waiting_id is not None) for wait in waits)


class StreamMachine(RuleBasedStateMachine):
    """Two producers, a client that numbers as it likes, and a consumer that may die between deciding and writing."""

    def __init__(self) -> None:
        super().__init__()
        toy.explosions.clear()
        self.now = NOON
        self.store = Store()
        self.told: dict[str, list[Asked]] = {stream: [] for stream in STREAMS}
        self.commands = 0
        self.documents = Documents(Database("postgresql://nowhere"))
        self.read: list[Asked] = []
        """What a sweep has read and not decided yet."""

    @initialize(kind=st.sampled_from(["add", "unhandled"]))
    def one_stream_brings_it(self, kind: str) -> None:
        self.tell("late.things", "add")
        self.tell("early.things", kind)

    @rule(stream=st.sampled_from(STREAMS), kind=st.sampled_from(sorted(MESSAGES)))
    def tell(self, stream: str, kind: str) -> None:
        """A producer states one more fact; nothing says when it arrives."""
        number = len(self.told[stream]) + 1
        record: dict[str, Any] = {"topic": stream, "partition": 0, "offset": number, "key": None}
        self.told[stream].append(heard(TILL, MESSAGES[kind], number, stream, at=NOON, origin=record))

    @rule(data=st.data(), dies=st.booleans())
    def a_batch_arrives(self, data: st.DataObject, dies: bool) -> None:
        """Anything that was ever told, in any order, some of it twice; the process may die before it is written."""
        everything = [one for told in self.told.values() for one in told]
        picked = data.draw(st.lists(st.sampled_from(range(len(everything))), min_size=1, max_size=6))
        self.decide([everything[n] for n in picked], dies=dies)

    @rule(stream=st.sampled_from(STREAMS), many=st.integers(1, 4))
    def the_next_ones_arrive(self, stream: str, many: int) -> None:
        after = self.store.row.heard.get(stream, 0)
        self.decide(self.told[stream][after : after + many])

    @rule(ahead=st.integers(0, 3), kind=st.sampled_from(["add", "refused", "fails twice"]))
    def a_client_commands(self, ahead: int, kind: str) -> None:
        """Under the number that is next, one used before, or one before which others are missing."""
        self.commands += 1
        number = max(1, self.store.row.heard.get(COMMANDS, 0) + ahead)
        identifier = uuid5(NAMESPACE, f"command/{self.commands}")
        self.decide(
            [
                toy.asked(
                    TILL, MESSAGES[kind], id=identifier, at=NOON, stream=COMMANDS, sequence=number, record=b"{}",
                    reply_to="erp",
                )
            ]
        )  # fmt: skip

    @precondition(lambda self: any(row.reason == "gap" for row in self.store.facts()))
    @rule(data=st.data())
    def a_gap_is_resent(self, data: st.DataObject) -> None:
        """What lies after the position comes again, all of it, however much of it waits already."""
        stream = data.draw(st.sampled_from([row.asked.stream for row in self.store.facts() if row.reason == "gap"]))
        assert stream is not None
        self.decide(self.told[stream][self.store.row.heard.get(stream, 0) :])

    @rule(seconds=st.sampled_from([0.05, 1.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(dies=st.booleans())
    def a_sweep(self, dies: bool) -> None:
        self.a_sweep_reads_what_waits()
        self.it_decides_what_it_read(dies)

    @rule()
    def sweeps_until_nothing_is_due(self) -> None:
        """Each decides something, or lets what is due rest: as many as there are messages are enough."""
        for _ in range(2 * len(self.store.waiting)):
            if self.due():
                self.a_sweep(dies=False)
        assert not self.due()

    @rule()
    def a_sweep_reads_what_waits(self) -> None:
        if self.due():
            self.read = self.store.in_order()

    @precondition(lambda self: self.read)
    @rule(dies=st.booleans())
    def it_decides_what_it_read(self, dies: bool) -> None:
        """Meanwhile more may have come to wait, but nothing of it was decided: one process sweeps a request."""
        batch, self.read = self.read, []
        self.decide(batch, dies=dies)

    def due(self) -> bool:
        """Whether something waits whose time has come."""
        return any(row.next_at is not None and row.next_at <= self.now for row in self.store.waiting)

    def over(self, stream: str) -> bool:
        """Whether all that was told on a stream was decided."""
        return self.store.row.heard.get(stream, 0) == len(self.told[stream])

    def decide(self, batch: Sequence[Asked], *, dies: bool = False) -> None:
        if not batch:
            return
        waited = {one.waiting_id for one in batch if one.waiting_id is not None and one.is_fact}
        others = {row.n for row in self.store.facts()} - waited
        reading = Reading(
            self.now, {TILL: copy(self.store.row)}, {}, {}, {}, {}, {}, {TILL} if waited and others else set()
        )
        fold = Fold(toy.TILLS, self.documents, reading)
        held_up = self.store.row.blocked == "error" and batch[0].waiting_id is None
        for asked in batch:
            stated = len(fold.changes.stated)
            outcome = fold.take(replace(asked))
            assert not (held_up and len(fold.changes.stated) > stated), f"{asked.stream} overtook what waits"
            held_up = held_up or (outcome.waiting and _holds_up(fold, asked))
        fold.unblock({TILL} if waited else ())
        if not dies:
            self.store.commit(fold)

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def every_stream_is_decided_once_and_in_its_order(self) -> None:
        for stream in (*STREAMS, COMMANDS):
            for over in (self.store.stated, self.store.dead):
                numbers = [one.sequence or 0 for one in over if one.stream == stream]
                assert numbers == sorted(set(numbers))

    @invariant()
    def a_position_stands_at_what_was_decided_last(self) -> None:
        for stream in STREAMS:
            over = self.told[stream][: self.store.row.heard.get(stream, 0)]
            decided = [one.sequence for one in self.store.stated + self.store.dead if one.stream == stream]
            assert sorted(decided, key=int) == [one.sequence for one in over if one.message is not None]

    @invariant()
    def only_what_is_refused_or_waited_in_vain_is_put_away(self) -> None:
        for one in self.store.dead:
            refused = isinstance(one.message, Take)
            assert refused or self.now - (one.waited_since or self.now) >= UNKNOWN_FOR
        assert not any(isinstance(one.message, Take) for one in self.store.stated)

    @invariant()
    def what_a_gap_held_up_is_looked_at_as_soon_as_it_is_filled(self) -> None:
        for row in self.store.waiting:
            filled = (
                row.reason == "gap" and row.asked.sequence == self.store.row.heard.get(str(row.asked.stream), 0) + 1
            )
            assert self.due() or not filled

    @invariant()
    def what_waits_is_tried_again_by_itself(self) -> None:
        for waiting in (self.store.waiting, self.store.facts()):
            assert not waiting or any(row.next_at is not None for row in waiting)

    @invariant()
    def a_request_is_blocked_while_a_fact_of_it_waits_and_no_longer(self) -> None:
        """What a client sends, or leaves out, holds up nobody else."""
        assert (self.store.row.blocked is not None) == bool(self.store.facts())

    def teardown(self) -> None:
        """In the end all of it is decided, and nothing waits."""
        for _ in range(5 + 3 * (self.commands + sum(len(told) for told in self.told.values()))):
            if not self.store.waiting and all(self.over(stream) for stream in STREAMS):
                break
            for stream in STREAMS:
                self.the_next_ones_arrive(stream, 100)
            self.time_passes(60.0)
            self.a_sweep(dies=False)
        heard = {stream: number for stream, number in self.store.row.heard.items() if stream != COMMANDS}
        assert heard == {stream: len(told) for stream, told in self.told.items() if told}
        assert (self.store.waiting, self.store.row.blocked) == ([], None)


def test_facts_are_decided_once_and_in_order_however_they_come() -> None:
    with capture_logs():  # failures are planted by the hundred
        run_state_machine_as_test(StreamMachine, settings=settings(max_examples=400, stateful_step_count=30))
