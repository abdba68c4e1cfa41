"""Timers against real PostgreSQL: swept once and never early, those that fail looked at again later."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import MetaData, Table

from chassis import clock, failpoints
from chassis.agenda import Agenda
from chassis.clock import utc_now
from chassis.database import Database, Unavailable
from chassis.history import history
from chassis.waiting import of_subject
from testkit import toy
from testkit.eventually import eventually
from testkit.scraping import measured
from testkit.toy import Add, CountAt, Forward, asked
from testkit.toywaiting import agenda, revive

pytestmark = pytest.mark.servers


class Dies(BaseException):
    """A process ends here."""


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    fresh = await fresh_database.template("toy", toy.create)
    database = Database(fresh.url)
    yield database
    await database.close()


async def counted(database: Database, till: UUID) -> list[Any]:
    return [row for row in await history(database, till) if row["type"] == "toy.till-counted"]


async def test_a_burst_of_more_than_a_page_is_swept_two_pages_at_once_each_timer_once(database: Database) -> None:
    tills, at = [uuid4() for _ in range(1200)], utc_now()
    for n in range(0, len(tills), 400):
        some = tills[n : n + 400]
        await toy.decider(database).handle_batch([asked(till, each) for till in some for each in (Add(1), CountAt(at))])
    sweeper, before = agenda(database), measured("agenda_lateness_seconds_count", aggregate="tills")
    fired = []
    while await sweeper.sweep():
        fired.append(sweeper.fired)
    assert fired[0] == 500
    # A page that locks a row just after the other has fired and committed it finds nothing due there any more.
    assert fired[1] > 1000
    assert fired[-1] == 1200
    assert measured("agenda_lateness_seconds_count", aggregate="tills") >= before + 1200
    rows = await database.read("SELECT subject FROM journal WHERE type = 'toy.till-counted'")
    assert len(rows) == 1200
    assert {row["subject"] for row in rows} == set(tills)


async def test_a_sweep_looks_only_at_aggregates_of_which_something_is_due(database: Database) -> None:
    till, elsewhere = uuid4(), toy.decider(database)
    elsewhere.aggregate = replace(elsewhere.aggregate, name="elsewhere", table=Table("nowhere", MetaData()))
    await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now()))])
    await database.execute("INSERT INTO wake VALUES ($1, 'of an earlier release', clock_timestamp())", uuid4())
    sweeper = Agenda(database, {"tills": toy.decider(database), "elsewhere": elsewhere}, revive)
    assert await sweeper.sweep()
    assert len(await counted(database, till)) == 1
    assert not await sweeper.sweep()


async def test_what_falls_due_while_it_is_looked_for_is_looked_for_again_at_once() -> None:
    ahead = [timedelta(microseconds=-200), timedelta(seconds=0.3), None, timedelta(days=1)]
    waited: list[float] = []

    async def read(*_: object) -> list[Any]:
        return [(ahead[len(waited)], None if ahead[len(waited)] is None else False, [], False)]

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == len(ahead):
            raise Dies

    database: Any = SimpleNamespace(read=read)
    with pytest.raises(Dies):
        await Agenda(database, {}, revive).run(SimpleNamespace(wait=wait))
    assert waited == [0.0, 0.3, 1.0, 1.0]


async def test_timers_fire_while_what_waits_cannot_be_decided(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, one, two = uuid4(), uuid4(), uuid4()
    await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now()))])
    await toy.decider(database).handle_batch([asked(one, Add(5)), asked(one, Forward(two, 3))])

    async def locked(*_: object) -> None:
        raise Unavailable("its rows stay locked")

    monkeypatch.setattr("chassis.agenda.of_subject", locked)
    with pytest.raises(Unavailable):
        await agenda(database).sweep()
    assert len(await counted(database, till)) == 1


@asynccontextmanager
async def sweeping(
    database: Database, at_end: Callable[[], object] = lambda: None, **stated: Any
) -> AsyncIterator[None]:
    """A sweep that goes on by itself, and ends in good order; `at_end` is called when it knows that it ends."""
    ending = asyncio.Event()

    async def wait(seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), seconds)
        if ending.is_set():
            asyncio.get_running_loop().call_soon(at_end)
            raise Dies

    sweeper = Agenda(database, {"tills": toy.decider(database)}, revive, **stated)
    running = asyncio.create_task(sweeper.run(SimpleNamespace(wait=wait)))
    try:
        yield
    finally:
        ending.set()
        with suppress(Dies):
            await running


async def waits(database: Database, count: int) -> None:
    """So many messages wait, each for a till that is not there, and are due."""
    one = uuid4()
    await toy.decider(database).handle_batch(
        [asked(one, Add(9)), *(asked(one, Forward(uuid4(), 1)) for _ in range(count))]
    )
    await database.execute("UPDATE waiting SET next_at = clock_timestamp()")


async def test_a_timer_fires_while_what_waits_is_held_up(database: Database) -> None:
    till, holding, let_go = uuid4(), asyncio.Event(), asyncio.Event()
    await toy.decider(database).handle_batch([asked(till, Add(1))])
    await waits(database, 1)

    async def held(*_: object) -> None:
        holding.set()
        await let_go.wait()

    async with sweeping(database, on_outcome=held):
        try:
            await asyncio.wait_for(holding.wait(), 15)
            await toy.decider(database).handle_batch([asked(till, CountAt(utc_now()))])
            await eventually(lambda: counted(database, till))
        finally:
            let_go.set()


async def test_a_sweep_that_ends_finishes_the_request_in_hand_and_begins_no_other(database: Database) -> None:
    tried, let_go = list[object](), asyncio.Event()
    await waits(database, 3)

    async def held(*outcome: object) -> None:
        tried.append(outcome)
        await let_go.wait()

    async with sweeping(database, let_go.set, on_outcome=held):
        await eventually(lambda: tried)
    assert (len(tried), let_go.is_set()) == (1, True)


async def test_what_waits_is_tried_again_after_an_error_that_nobody_expected(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [RuntimeError("a mistake"), Unavailable("away")]
    monkeypatch.setattr("chassis.agenda._AGAIN_AFTER", 0.01)
    await waits(database, 3)

    async def failing(*_: object) -> None:
        if failures:
            raise failures.pop()

    async def nothing_waits() -> bool:
        return not await database.read("SELECT FROM waiting")

    async with sweeping(database, on_outcome=failing):
        await eventually(nothing_waits)
    assert failures == []
    told = [record.getMessage().partition(" for ")[0] for record in caplog.records if record.name == "chassis.agenda"]
    assert told == ["what waits could not be decided: away", "what waits"]


async def test_a_request_whose_waiting_messages_cannot_be_tried_holds_up_no_other_and_rests(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waits(database, 3)
    [(broken,)] = await database.read("SELECT subject FROM waiting ORDER BY next_at, id LIMIT 1")

    async def read(of: Database, aggregate: str, subject: UUID) -> list[Any]:
        if subject == broken:
            raise KeyError("traceparent")
        return await of_subject(of, aggregate, subject)

    monkeypatch.setattr("chassis.agenda.of_subject", read)
    await agenda(database).sweep()
    left = await database.read("SELECT subject, next_at > clock_timestamp() + interval '20 s' FROM waiting")
    assert [tuple(row) for row in left] == [(broken, True)]
    assert not await agenda(database).sweep()


async def test_nobody_is_woken_for_a_timer_before_it_is_committed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, rung, begin = uuid4(), list[tuple[bool, int]](), database.begin
    decider = toy.decider(database, on_commit=lambda *told: rung.append(told))
    await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now()))])

    @asynccontextmanager
    async def lost(**settings: str) -> AsyncIterator[Any]:
        async with begin(**settings) as connection:
            yield connection
            raise Dies

    with monkeypatch.context() as dying:
        dying.setattr(database, "begin", lost)
        with pytest.raises(Dies):
            await Agenda(database, {"tills": decider}, revive).sweep()
    assert rung == []
    await Agenda(database, {"tills": decider}, revive).sweep()
    assert len(rung) == 1


async def test_a_timer_fires_once_at_its_time_and_not_before(database: Database) -> None:
    till, at = uuid4(), utc_now() + timedelta(milliseconds=400)
    await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(at))])
    sweeps = [agenda(database) for _ in range(3)]

    async def fired() -> list[Any]:
        await asyncio.gather(*(sweep.sweep() for sweep in sweeps))
        return await counted(database, till)

    assert len(await eventually(fired)) == 1
    await asyncio.gather(*(sweep.sweep() for sweep in sweeps))
    (row,) = await counted(database, till)
    assert row["occurred_at"] >= at
    assert await database.read("SELECT 1 FROM wake") == []


async def test_a_timer_moved_earlier_fires_at_the_earlier_time(database: Database) -> None:
    till, decider = uuid4(), toy.decider(database)
    await decider.handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now() + timedelta(hours=1)))])
    await decider.handle(asked(till, CountAt(utc_now() - timedelta(seconds=1))))
    await agenda(database).sweep()
    assert len(await counted(database, till)) == 1


async def test_a_timer_moved_later_only_makes_the_sweep_look_again(database: Database) -> None:
    till, later = uuid4(), utc_now() + timedelta(hours=1)
    decider = toy.decider(database)
    await decider.handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now() - timedelta(seconds=1)))])
    await decider.handle(asked(till, CountAt(later)))
    await agenda(database).sweep()
    assert await counted(database, till) == []
    (row,) = await database.read("SELECT at FROM wake WHERE subject = $1", till)
    assert row["at"] == later


@pytest.mark.parametrize(("seconds", "told"), [(1.8, True), (60, False)])
async def test_sweepers_are_told_of_what_falls_due_within_two_seconds(
    database: Database, seconds: float, told: bool
) -> None:
    rung: list[bool] = []
    decider = toy.decider(database, on_commit=lambda facts, wakes: rung.append(wakes))
    till, at = uuid4(), utc_now() + timedelta(seconds=seconds)
    await decider.handle_batch([asked(till, Add(1)), asked(till, CountAt(at))])
    assert rung == [told]


async def test_a_timer_that_fails_backs_off_and_starves_nobody(database: Database) -> None:
    bad, good = uuid4(), uuid4()
    decider = toy.decider(database)
    past = utc_now() - timedelta(minutes=1)
    for till in (bad, good):
        await decider.handle_batch([asked(till, Add(1)), asked(till, CountAt(past))])
    await database.execute(
        "UPDATE tills SET state = jsonb_set(state::jsonb, '{total}', '\"x\"')::json WHERE id = $1", bad
    )
    await agenda(database).sweep()
    assert len(await counted(database, good)) == 1
    (row,) = await database.read("SELECT at, clock_timestamp() AS now FROM wake WHERE subject = $1", bad)
    assert row["at"] > row["now"]


async def test_a_timer_that_went_well_in_between_fails_as_if_it_never_had(database: Database) -> None:
    till, decider, sweeper = uuid4(), toy.decider(database), agenda(database)
    await decider.handle(asked(till, Add(1)))

    async def swept(total: str) -> list[timedelta]:
        """A sweep over the till with this in it, when it is to be counted: how long until the next, if any."""
        set_to = "UPDATE tills SET state = jsonb_set(state::jsonb, '{total}', $1::jsonb)::json"
        await database.execute(set_to, total)
        await database.execute("UPDATE wake SET at = clock_timestamp()")
        await sweeper.sweep()
        return [row["ahead"] for row in await database.read("SELECT at - clock_timestamp() AS ahead FROM wake")]

    for _ in range(2):
        await decider.handle(asked(till, CountAt(utc_now())))
        for most in (1, 5, 30):
            (ahead,) = await swept('"x"')
            assert ahead <= timedelta(seconds=most)
        assert await swept("1") == []
    assert len(await counted(database, till)) == 2


async def test_a_timer_that_the_database_refuses_backs_off_and_starves_nobody(database: Database) -> None:
    tills, past = [uuid4() for _ in range(6)], utc_now() - timedelta(minutes=1)
    await toy.decider(database).handle_batch([asked(till, each) for till in tills for each in (Add(1), CountAt(past))])
    bad, *good = tills
    await database.execute(f"ALTER TABLE tills ADD CHECK (id <> '{bad}' OR version < 2)")
    sweeper = agenda(database)
    await sweeper.sweep()
    assert [len(await counted(database, till)) for till in good] == [1] * 5
    assert sweeper.fired == 5
    (row,) = await database.read("SELECT subject, at, clock_timestamp() AS now FROM wake")
    assert row["subject"] == bad
    assert row["at"] > row["now"]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_what_the_database_refuses_rests_by_the_databases_clock_however_wrong_the_processs_is(
    hours: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = uuid4()
    await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now()))])
    await database.execute("ALTER TABLE tills ADD CHECK (version < 2)")

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=hours)

    monkeypatch.setattr(clock, "datetime", Wrong)
    await agenda(database).sweep()
    (row,) = await database.read("SELECT at - clock_timestamp() AS ahead FROM wake")
    assert timedelta(minutes=-1) < row["ahead"] <= timedelta(seconds=1)


async def test_a_sweep_passes_over_what_somebody_has_in_hand_and_fires_the_rest(database: Database) -> None:
    busy, free = uuid4(), uuid4()
    for till in (busy, free):
        await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now()))])
    async with database.begin() as other:
        await other.execute("SELECT 1 FROM tills WHERE id = $1 FOR UPDATE", busy)
        await agenda(database).sweep()
        assert (len(await counted(database, busy)), len(await counted(database, free))) == (0, 1)
    await agenda(database).sweep()
    assert len(await counted(database, busy)) == 1


async def test_a_sweep_that_dies_before_its_commit_loses_no_timer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = uuid4()
    await toy.decider(database).handle_batch([asked(till, Add(1)), asked(till, CountAt(utc_now()))])

    async def die(name: str) -> None:
        if name == "agenda.swept":
            raise Dies

    monkeypatch.setattr(failpoints, "armed", SimpleNamespace(reach=die))
    with pytest.raises(Dies):
        await agenda(database).sweep()
    monkeypatch.setattr(failpoints, "armed", None)
    assert await counted(database, till) == []
    await agenda(database).sweep()
    assert len(await counted(database, till)) == 1
