"""The relay in memory, step by step: whatever writers do, and wherever it dies, first occurrences are 1..n in order.

PostgreSQL and Kafka are small models here, so that a crash between any two awaits can be tried by the thousand;
`test_relay.py` runs the same promise against the real ones.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from chassis import lease, relay
from chassis.clock import utc_now
from chassis.lease import LeaseLost
from chassis.publishing import COLUMNS, NotSent, Record
from chassis.relay import Relay
from contracts.envelope import from_headers

GROUPS = 2
SUBJECTS = tuple(UUID(int=n) for n in range(1, 4))
"""Each lies in the group of its number."""
NOW = utc_now() - timedelta(days=3)
"""By the database's clock. Those of the processes are wrong by days."""
STREAM, RESULTS = "toy.tills", "toy.results.erp"
NAMES = [column.removeprefix("j.") for column in (*COLUMNS.split(", "), "xmin", "xmax", "now")]
FUSES = st.sampled_from([None] * 24 + [*range(8)])
"""Most steps end well."""


class Crash(BaseException):
    """The process is gone: nothing it does reaches anybody any more."""


@dataclass
class Life:
    """One process of the relay. `fuse`: passages until it dies, counted before and after everything it does."""

    fuse: int | None = None
    dead: bool = False

    async def passage(self) -> None:
        await asyncio.sleep(0)
        if self.fuse is not None:
            self.fuse -= 1
            self.dead = self.dead or self.fuse < 0
        if self.dead:
            raise Crash


class Row(dict[str, Any]):
    """A row as the driver gives it: by name, or one value after the other."""

    def __iter__(self) -> Iterator[Any]:
        return (self.get(name) for name in NAMES)


@dataclass
class Postgres:
    """Transactions that draw numbers, snapshots, the cursor's rows and the lease."""

    next_xid: int = 100
    last: list[int] = field(default_factory=lambda: [0] * GROUPS)
    open: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    sequences: dict[UUID, int] = field(default_factory=dict)
    locked: dict[UUID, int] = field(default_factory=dict)
    cursors: dict[int, tuple[int, list[int], list[str]]] = field(default_factory=dict)
    epoch: int = 0
    leased: bool = False
    now: datetime = NOW

    def begin(self) -> None:
        self.open[self.next_xid] = []
        self.next_xid += 1

    def write(self, xid: int, subject: UUID, topic: str) -> None:
        """One more row of the journal, behind the lock of its aggregate."""
        if self.locked.setdefault(subject, xid) != xid:
            return
        group = subject.int % GROUPS
        self.last[group] += 1
        mine = sum(row["key"] == str(subject) and row["topic"] == STREAM for row in self.open[xid])
        sequence = self.sequences.get(subject, 0) + mine + 1 if topic == STREAM else None
        row = {"grp": group, "seq": self.last[group], "topic": topic, "key": str(subject), "sequence": sequence}
        self.open[xid].append(row | {"event_id": UUID(int=group << 64 | self.last[group])} | REST)

    def end(self, xid: int, *, commit: bool) -> None:
        drawn = self.open.pop(xid)
        for row in drawn if commit else ():
            self.rows.append(row)
            if row["sequence"] is not None:
                self.sequences[UUID(row["key"])] = row["sequence"]
        self.locked = {subject: by for subject, by in self.locked.items() if by != xid}

    def poll(
        self, highs: dict[int, int], missed: set[tuple[int, int]], since: tuple[datetime, datetime], limit: int
    ) -> list[Row]:
        """What `relay.POLL` finds: rows above the cursors and missed ones, either recorded `since` then."""
        snapshot = {"xmin": min(self.open, default=self.next_xid), "xmax": self.next_xid, "now": self.now}
        late, later = since
        found = [row for row in self.rows if (row["grp"], row["seq"]) in missed and row["recorded_at"] >= later]
        for group, high in highs.items():
            above = [row for row in self.rows if row["grp"] == group and row["seq"] > high]
            above = [row for row in above if row["recorded_at"] >= late]
            found += sorted(above, key=lambda row: row["seq"])[:limit]
        return [Row(snapshot | row) for row in found] or [Row(snapshot | {"seq": None, "data": None, "personal": None})]


REST = {
    "type": "toy.till-changed", "version": 1, "data": "{}", "personal": None, "actor": None, "occurred_at": NOW,
    "recorded_at": NOW, "correlation_id": None, "causation_id": None, "hop": 0, "traceparent": None,
}  # fmt: skip


@dataclass
class Connected:
    """The database as one process sees it."""

    server: Postgres
    life: Life
    unsent: set[tuple[int, int]] = field(default_factory=set)
    """What the rows of the cursors held as unsent when the lease was taken; not read again yet."""
    read_again: list[int] = field(default_factory=list)
    """How many of those each poll asked for."""

    async def read(self, sql: str, *given: Any) -> list[Row]:
        await self.life.passage()
        assert sql == relay.POLL
        groups, highs, missing, numbers, *since, limit = given
        above, missed = dict(zip(groups, highs, strict=True)), set(zip(missing, numbers, strict=True))
        found = self.server.poll(above, missed, (since[0], since[1]), limit)
        await self.life.passage()
        self.asked_for(missed & self.unsent, set(groups))
        return found

    def asked_for(self, again: set[tuple[int, int]], read_on: set[int]) -> None:
        """What earlier processes left unsent is read a little at a time, and before anything later of its group."""
        for group in range(GROUPS):
            some = sorted(n for of, n in again if of == group)
            rest = {n for of, n in self.unsent - again if of == group}
            assert len(some) <= relay._AGAIN
            assert not rest or max(some) < min(rest)
            assert not (some or rest) or group not in read_on
        self.unsent -= again
        self.read_again.append(len(again))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Connected"]:
        yield self

    async def writes(self) -> Any:
        return SimpleNamespace(acquire=self.begin)

    async def fetchval(self, sql: str, *_: Any) -> int | None:
        await self.life.passage()
        assert sql == lease._TAKE
        if self.server.leased:
            return None
        self.server.leased, self.server.epoch = True, self.server.epoch + 1
        return self.server.epoch

    async def fetch(self, sql: str, groups: int) -> list[dict[str, Any]]:
        await self.life.passage()
        kept = {group: self.server.cursors.get(group, (0, [], [])) for group in range(groups)}
        for group, (_, holes, stamps) in kept.items():
            self.unsent |= {(group, n) for n, stamp in zip(holes, stamps, strict=True) if stamp == "0"}
        return [{"grp": n, "high": high, "holes": holes, "hole_xmax": xmax} for n, (high, holes, xmax) in kept.items()]

    async def execute(self, sql: str, *_: Any) -> None:
        await self.life.passage()

    async def fetchrow(self, sql: str, epoch: int, _: Any, groups: Any, highs: Any, holes: Any, xmax: Any) -> Any:
        await self.life.passage()
        assert sql == lease._SAVE
        held = epoch == self.server.epoch
        for group, high, missing, stamps in zip(groups, highs, holes, xmax, strict=True) if held else ():
            read = (high, [int(n) for n in missing.strip("[]").split(",") if n], stamps.strip('[]"').split('","'))
            self.server.cursors[group] = read[0], read[1], read[2] if read[1] else []
        await self.life.passage()
        return {"held": held}


@dataclass
class Kafka:
    """The log of every topic and partition, and the batches that hang: acknowledged or not when somebody says so."""

    log: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    under_way: list[tuple[tuple[str, int], Sequence[Record], "asyncio.Future[bool]"]] = field(default_factory=list)
    late: list[tuple[tuple[str, int], Sequence[Record]]] = field(default_factory=list)
    """Written by producers that nobody listens to any more."""

    def arrive(self, place: tuple[str, int], records: Sequence[Record]) -> None:
        self.log.setdefault(place, []).extend(records)


@dataclass
class Sender:
    """The producer of one process; `plans` says what becomes of its next batches: how many records arrive, or None.

    None: the batch hangs. A batch of which less than all arrives is not acknowledged, but for half of it.
    """

    kafka: Kafka
    life: Life
    plans: list[int | None] = field(default_factory=list)

    async def partitions(self, topic: str) -> int:
        return GROUPS

    async def send(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        await self.life.passage()
        plan = self.plans.pop(0) if self.plans else len(records)
        place = topic, partition
        if plan is None:
            answered = asyncio.get_running_loop().create_future()
            self.kafka.under_way.append((place, records, answered))
            fine, acknowledged = await answered, 0
        else:
            self.kafka.arrive(place, records[:plan])
            fine, acknowledged = plan >= len(records), plan // 2
        await self.life.passage()
        if not fine:
            raise NotSent("planted", acknowledged)


class Process:
    """One process that leads, or has led."""

    def __init__(self, server: Postgres, kafka: Kafka) -> None:
        self.life = Life()
        self.sender = Sender(kafka, self.life)
        self.relay = Relay(
            cast(Any, Connected(server, self.life)), cast(Any, self.sender), cast(Any, None), partitions=GROUPS,
            source="/t/toy", lease=timedelta(hours=1),
        )  # fmt: skip


class RelayMachine(RuleBasedStateMachine):
    """Writers, processes one after the other or, with a lease that ran out, at the same time, and a broker."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.server, self.kafka = Postgres(), Kafka()
        self.processes: list[Process] = []

    # -- writers -------------------------------------------------------------------------------------------------

    @rule()
    def begin(self) -> None:
        self.server.begin()

    @precondition(lambda self: self.server.open)
    @rule(data=st.data(), subject=st.sampled_from(SUBJECTS), topic=st.sampled_from([STREAM, STREAM, RESULTS]))
    def write(self, data: st.DataObject, subject: UUID, topic: str) -> None:
        self.server.write(data.draw(st.sampled_from(sorted(self.server.open))), subject, topic)

    @precondition(lambda self: self.server.open)
    @rule(data=st.data(), commit=st.booleans())
    def end(self, data: st.DataObject, commit: bool) -> None:
        self.server.end(data.draw(st.sampled_from(sorted(self.server.open))), commit=commit)

    @rule(subject=st.sampled_from(SUBJECTS), topic=st.sampled_from([STREAM, STREAM, RESULTS]), many=st.integers(1, 4))
    def write_and_commit(self, subject: UUID, topic: str, many: int) -> None:
        xid = self.server.next_xid
        self.server.begin()
        for _ in range(many):
            self.server.write(xid, subject, topic)
        self.server.end(xid, commit=True)

    # -- processes -----------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.server.leased)
    @rule()
    def lead(self) -> None:
        """One more process begins; another may still believe that it leads."""
        process = Process(self.server, self.kafka)
        self.processes.append(process)
        assert self._run(process, process.relay._lead())

    @precondition(lambda self: self.server.leased)
    @rule()
    def the_lease_runs_out(self) -> None:
        self.server.leased = False

    @precondition(lambda self: self.processes)
    @rule(
        data=st.data(), fuse=st.none() | st.integers(0, 12), plans=st.lists(st.none() | st.integers(0, 5), max_size=4)
    )
    def step(self, data: st.DataObject, fuse: int | None, plans: list[int | None]) -> None:
        process = data.draw(st.sampled_from(self.processes))
        process.life.fuse, process.sender.plans = fuse, plans
        self._run(process, process.relay.step())

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), fuse=FUSES)
    def save(self, data: st.DataObject, fuse: int | None) -> None:
        process = data.draw(st.sampled_from(self.processes))
        process.life.fuse = fuse
        self._run(process, process.relay._save())

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from(self.processes))
        process.life.dead = True
        self._run(process, asyncio.sleep(0))

    @precondition(lambda self: self.kafka.under_way)
    @rule(arrives=st.sampled_from(["now", "never", "later"]), fine=st.booleans())
    def what_hangs_goes_on(self, arrives: str, fine: bool) -> None:
        """It is written and acknowledged, or lost, or written when its process has long given it up."""
        place, records, answered = self.kafka.under_way.pop(0)
        if arrives == "now":
            self.kafka.arrive(place, records)
        elif arrives == "later":
            self.kafka.late.append((place, records))
        answered.set_result(fine and arrives == "now")
        self.loop.run_until_complete(_a_while())

    @precondition(lambda self: self.kafka.late)
    @rule()
    def what_was_given_up_is_written_after_all(self) -> None:
        self.kafka.arrive(*self.kafka.late.pop(0))

    def _run(self, process: Process, work: Any) -> Any:
        """Let it work until it is done, or dead; what hangs of a dead one is written late."""

        async def until_done() -> Any:
            try:
                return await work
            except (Crash, LeaseLost):
                process.life.dead = True
            finally:
                await _a_while()

        done = self.loop.run_until_complete(until_done())
        if process.life.dead:
            self.processes.remove(process)
            self.loop.run_until_complete(_ended([lane.task for lane in process.relay._lanes() if lane.task]))
            gone = [each for each in self.kafka.under_way if each[2].cancelled()]
            self.kafka.under_way = [each for each in self.kafka.under_way if not each[2].cancelled()]
            self.kafka.late += [(place, records) for place, records, _ in gone]
            self.server.leased = self.server.leased and process.relay._lease.epoch != self.server.epoch
        return done

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def first_occurrences_are_in_order_and_without_gap(self) -> None:
        for (topic, _), records in self.kafka.log.items():
            first: dict[bytes, int] = {}
            for record in records if topic == STREAM else ():
                sequence, known = from_headers(record.headers).sequence or 0, first.get(record.key, 0)
                assert sequence <= known + 1, f"{record.key!r}: {sequence} came after {known}"
                first[record.key] = max(known, sequence)

    def teardown(self) -> None:
        """In the end everything that was committed is there, and nothing is missed or forgotten."""
        try:
            self.everything_arrives()
        finally:
            self.loop.close()

    def everything_arrives(self) -> None:
        for process in [*self.processes]:
            process.life.dead = True
            self._run(process, asyncio.sleep(0))
        for xid in list(self.server.open):
            self.server.end(xid, commit=True)
        self.server.leased = False
        self.lead()
        [last] = self.processes
        for _ in range(len(self.server.rows) + 3):
            self._run(last, last.relay.step())
        self._run(last, last.relay._save())
        self.first_occurrences_are_in_order_and_without_gap()
        told = {from_headers(record.headers).id for records in self.kafka.log.values() for record in records}
        assert told == {row["event_id"] for row in self.server.rows}
        assert all(holes == [] for _, holes, _ in self.server.cursors.values())
        while self.kafka.late:
            self.what_was_given_up_is_written_after_all()
        self.first_occurrences_are_in_order_and_without_gap()


async def _a_while() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_first_occurrences_are_in_order_and_complete_wherever_the_relay_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.relay._SLOW", 0)
    monkeypatch.setattr("chassis.relay._LIMIT", 3)
    monkeypatch.setattr("chassis.lanes._BACK_OFF", (0.0,))
    monkeypatch.setattr("chassis.relay._AGAIN", 2)
    run_state_machine_as_test(RelayMachine, settings=settings(max_examples=300, stateful_step_count=40))


def test_a_process_whose_clock_is_days_ahead_passes_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.relay._SLOW", 0)
    machine, quick = RelayMachine(), [UUID(int=n) for n in (3, 4)]
    slow = machine.server.next_xid
    machine.server.begin()
    for subject in SUBJECTS[:GROUPS]:
        machine.server.write(slow, subject, STREAM)
    for subject in quick:
        machine.write_and_commit(subject, STREAM, many=1)
    machine.lead()
    [process] = machine.processes
    for _ in range(2):
        machine._run(process, process.relay.step())
    machine.server.end(slow, commit=True)
    for subject in quick:
        machine.write_and_commit(subject, STREAM, many=1)
    machine._run(process, process.relay.step())
    told = [from_headers(record.headers).id for records in machine.kafka.log.values() for record in records]
    machine.teardown()
    assert sorted(told) == sorted(row["event_id"] for row in machine.server.rows)


def die_with_everything_unsent(machine: RelayMachine) -> None:
    """A process reads all facts of the first subject's group, publishes none, saves, and is gone for days."""
    machine.lead()
    [process] = machine.processes
    facts = machine.server.last[1]
    while machine.server.cursors.get(1, (0, [], []))[0] < facts:
        process.sender.plans = [0]
        machine._run(process, process.relay.step())
        machine._run(process, process.relay._save())
    process.life.dead = True
    machine._run(process, asyncio.sleep(0))
    assert len(machine.server.cursors[1][1]) == facts
    machine.server.now += timedelta(days=3)


def read_again_after_a_restart(machine: RelayMachine) -> list[int]:
    """How many of a hundred facts that were left unsent each poll of the next process asks for."""
    for _ in range(100):
        machine.write_and_commit(SUBJECTS[0], STREAM, many=1)
    die_with_everything_unsent(machine)
    machine.lead()
    [process] = machine.processes
    for _ in range(4):
        machine._run(process, process.relay.step())
    machine.teardown()
    return cast(list[int], cast(Any, process.relay._database).read_again)


def test_what_is_unsent_at_a_restart_is_read_again_more_by_more_and_comes_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chassis.relay._SLOW", 0)
    monkeypatch.setattr("chassis.lanes._BACK_OFF", (0.0,))
    assert read_again_after_a_restart(RelayMachine()) == [20, 40, 40, 0]


def test_of_large_rows_that_are_unsent_at_a_restart_fewer_are_read_again_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chassis.relay._SLOW", 0)
    monkeypatch.setattr("chassis.lanes._BACK_OFF", (0.0,))
    monkeypatch.setattr("chassis.relay._MOST_BYTES", 20 * len("{}") - 1)
    assert read_again_after_a_restart(RelayMachine()) == [20, 20, 20, 20]


def test_polls_that_bring_nothing_say_nothing_of_the_size_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.relay._SLOW", 0)
    machine = RelayMachine()
    machine.lead()
    [process] = machine.processes
    for _ in range(9):
        machine._run(process, process.relay.step())
    for _ in range(40):
        machine.write_and_commit(SUBJECTS[0], STREAM, many=1)
    told = []
    for _ in range(3):
        machine._run(process, process.relay.step())
        told.append(sum(len(records) for records in machine.kafka.log.values()))
    machine.teardown()
    assert told == [10, 30, 40]


def test_a_number_that_appears_after_a_restart_goes_out_behind_what_was_left_unsent_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chassis.relay._SLOW", 0)
    monkeypatch.setattr("chassis.relay._AGAIN", 2)
    monkeypatch.setattr("chassis.lanes._BACK_OFF", (0.0,))
    machine, (early, other) = RelayMachine(), (SUBJECTS[0], SUBJECTS[2])
    machine.write_and_commit(early, STREAM, many=4)
    late = machine.server.next_xid
    machine.server.begin()
    machine.server.write(late, early, STREAM)
    machine.write_and_commit(other, STREAM, many=1)
    die_with_everything_unsent(machine)
    machine.server.end(late, commit=True)
    machine.teardown()
