"""What waits, against real PostgreSQL: tried when it is due, in its order, and resting while it waits for another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from chassis import failpoints
from chassis.agenda import Agenda
from chassis.asked import Asked
from chassis.clock import utc_now
from chassis.database import Database
from chassis.decider import Decider
from chassis.documents import Documents
from chassis.history import history
from chassis.skipping import MissesEarlier, skip
from chassis.waiting import NothingWaits, listed, of_subject, retry
from chassis.writing import Writer
from testkit import toy
from testkit.eventually import eventually
from testkit.toy import Add, CountAt, Explode, Forward, Take, asked, heard
from testkit.toywaiting import agenda, remembered, revive

pytestmark = pytest.mark.servers


class Dies(BaseException):
    """A process ends here."""


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    database = Database((await fresh_database.template("toy", toy.create)).url)
    yield database
    await database.close()


async def total(database: Database, till: UUID) -> int | None:
    rows = await database.read("SELECT total FROM tills WHERE id = $1", till)
    return rows[0]["total"] if rows else None


async def rested(database: Database, till: UUID) -> list[tuple[str, int, bool]]:
    """Of what waits for a till, in its order: why, how often it was tried, and whether it rests."""
    rows = await database.read("SELECT reason, attempts, next_at FROM waiting WHERE subject = $1 ORDER BY id", till)
    return [(row["reason"], row["attempts"], row["next_at"] is None) for row in rows]


async def flows(database: Database, till: UUID) -> bool:
    """Whether nothing waits for a till any more, after a sweep."""
    await agenda(database).sweep()
    (row,) = await database.read("SELECT blocked FROM tills WHERE id = $1", till)
    return await rested(database, till) == [] and row["blocked"] is None


async def test_a_reaction_reaches_its_aggregate(database: Database) -> None:
    one, two = uuid4(), uuid4()
    await toy.decider(database).handle_batch([asked(one, Add(5)), asked(one, Forward(two, 3))])
    await agenda(database).sweep()
    assert (await total(database, one), await total(database, two)) == (2, 3)
    assert await database.read("SELECT 1 FROM waiting") == []
    rows = await history(database, two)
    causes = await history(database, one)
    assert rows[0]["hop"] == 1
    assert rows[0]["correlation_id"] == causes[-1]["correlation_id"]


@pytest.mark.parametrize("together", [True, False])
async def test_what_one_stream_knows_too_early_waits_for_another_stream_and_does_not_hold_it_up(
    database: Database, together: bool
) -> None:
    till, decider = uuid4(), toy.decider(database)
    early = [remembered(heard(till, Add(10), n, "early.things")) for n in (2, 3)]
    early = [remembered(heard(till, CountAt(utc_now()), 1, "early.things")), *early]
    late = [remembered(heard(till, Add(1), n, "late.things")) for n in (1, 2)]
    for batch in [[*early, *late]] if together else [early, late]:
        await decider.handle_batch(batch)
    assert await total(database, till) == 2
    await eventually(lambda: agenda(database).sweep())
    assert await total(database, till) == 22
    (row,) = await database.read("SELECT blocked FROM tills WHERE id = $1", till)
    assert row["blocked"] is None
    assert await database.read("SELECT 1 FROM waiting") == []


async def test_what_waited_for_a_gap_flows_in_order_when_it_is_filled(database: Database) -> None:
    till, decider = uuid4(), toy.decider(database)
    stream = [remembered(heard(till, Add(n), n)) for n in (1, 2, 3, 4, 5)]
    await decider.handle_batch([stream[0], stream[4], stream[2]])
    await decider.handle_batch([stream[1]])
    await agenda(database).sweep()
    assert await total(database, till) == 1 + 2 + 3
    await decider.handle_batch([stream[3]])
    await agenda(database).sweep()
    assert await total(database, till) == 15
    (row,) = await database.read("SELECT blocked FROM tills WHERE id = $1", till)
    assert row["blocked"] is None
    assert await database.read("SELECT 1 FROM waiting") == []


async def test_a_message_that_fails_is_tried_again_and_those_behind_it_keep_their_order(database: Database) -> None:
    till, decider = uuid4(), toy.decider(database)
    stream = [
        remembered(one) for one in (heard(till, Add(1), 1), heard(till, Explode(times=2), 2), heard(till, Add(1), 3))
    ]
    await decider.handle_batch(stream)
    assert await total(database, till) == 1
    sweeper = agenda(database)

    async def drained() -> bool:
        await sweeper.sweep()
        return await total(database, till) == 2

    await eventually(drained)
    types = [row["data"] for row in await history(database, till)]
    assert len(types) == 3


async def test_large_messages_that_wait_are_read_a_few_at_a_time_and_all_of_them_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, decider = uuid4(), toy.decider(database)
    large: dict[str, Any] = {"record": b"x" * 1000, "headers": [("x", b"y" * 100)]}
    late = [remembered(heard(till, Add(n), n, **large)) for n in range(2, 8)]
    await decider.handle_batch(late)
    monkeypatch.setattr("chassis.waiting.AT_ONCE", 2500)
    assert [row["sequence"] for row in await of_subject(database, "tills", till)] == [2, 3]
    monkeypatch.setattr("chassis.waiting.AT_ONCE", 10)
    assert [row["sequence"] for row in await of_subject(database, "tills", till)] == [2]
    await decider.handle_batch([heard(till, Add(1), 1)])

    async def drained() -> bool:
        await agenda(database).sweep()
        return await total(database, till) == sum(range(1, 8))

    await eventually(drained)


async def test_what_other_services_told_is_read_before_the_commands_of_a_client(database: Database) -> None:
    till = uuid4()
    commands = [remembered(replace(heard(till, Add(1), n, "toy.commands.erp"), reply_to="erp")) for n in range(2, 5)]
    await toy.decider(database).handle_batch([*commands, remembered(heard(till, Add(1), 2))])
    read = [row["stream"] for row in await of_subject(database, "tills", till)]
    assert read == ["other.things", *["toy.commands.erp"] * 3]


async def test_what_comes_to_wait_while_a_sweep_decides_what_it_waits_for_flows_too(database: Database) -> None:
    """The sweep has read what waits; a worker lets its record wait behind that; then the sweep decides."""
    till, decider = uuid4(), toy.decider(database)
    stream = [heard(till, Add(1), 1), heard(till, Explode(times=1), 2), heard(till, Add(1), 3), heard(till, Add(1), 4)]
    first, second, third, fourth = map(remembered, stream)
    await decider.handle_batch([first, second])
    read = [revive(row) for row in await of_subject(database, "tills", till)]
    await decider.handle_batch([third, fourth])
    await decider.handle_batch(read)
    await agenda(database).sweep()
    assert await total(database, till) == 3
    assert await database.read("SELECT 1 FROM waiting") == []


async def test_what_is_unknown_is_waited_for_a_minute_and_then_stated_otherwise_or_put_away(database: Database) -> None:
    told, silent, client = uuid4(), uuid4(), uuid4()
    patient = replace(
        toy.TILLS, in_vain=lambda state, message, unknown, now: [toy.Added(0, 0)] if message.amount == 1 else []
    )
    writer = Writer("toy", toy.PARTITIONS, toy.CLASSES)
    decider = Decider(patient, database, Documents(database), writer)
    await decider.handle_batch([remembered(heard(till, Take(n), 1)) for n, till in ((1, told), (2, silent))])
    command = remembered(heard(client, Take(1), 1, reply_to="erp"))
    await decider.handle_batch([command])
    sweeper = Agenda(database, {"tills": decider}, revive)

    async def aged(seconds: float) -> list[str]:
        await database.execute(
            "UPDATE waiting SET next_at = clock_timestamp(), first_at = clock_timestamp() - make_interval(secs => $1)",
            seconds,
        )
        await sweeper.sweep()
        return [row["type"] for row in await database.read("SELECT type FROM journal ORDER BY type")]

    assert await aged(58.0) == []
    assert len(await listed(database, subject=None, after=0, limit=10)) == 3
    assert await aged(60.0) == ["throughline.command-refused", "toy.till-changed"]
    assert await listed(database, subject=None, after=0, limit=10) == []
    letters = await database.read("SELECT subject, reason FROM dead_letters")
    assert [(row["subject"], row["reason"]) for row in letters] == [(silent, "no-such-till")]
    positions = await database.read("SELECT heard ->> 'other.things' AS heard FROM tills")
    assert [row["heard"] for row in positions] == ["1"] * 3


async def test_an_operator_sees_what_waits_and_lets_it_be_tried_again(database: Database) -> None:
    till = uuid4()
    await toy.decider(database).handle_batch(
        [remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(1), 2))]
    )
    (row,) = await listed(database, subject=till, after=0, limit=10)
    assert row["reason"] == "error"
    assert "planted" in row["detail"]
    assert await retry(database, till) == 1
    await agenda(database).sweep()
    assert await listed(database, subject=till, after=0, limit=10) == []
    with pytest.raises(NothingWaits):
        await retry(database, till)


async def test_what_waits_and_cannot_be_read_again_waits_on_and_starves_nobody(database: Database) -> None:
    lost, good = uuid4(), uuid4()
    failing = [remembered(heard(good, Add(3), 1)), remembered(heard(good, Explode(1), 2))]
    await toy.decider(database).handle_batch([heard(lost, Take(1), 1), *failing])
    await database.execute("UPDATE waiting SET next_at = clock_timestamp()")
    await agenda(database).sweep()
    (row,) = await listed(database, subject=None, after=0, limit=10)
    assert (row["subject"], row["reason"]) == (lost, "error")
    assert "KeyError" in row["detail"]


@pytest.mark.parametrize("many", [1, 600])
async def test_what_waits_behind_a_message_that_is_retried_and_fails_again_rests_until_that_is_decided(
    database: Database, many: int
) -> None:
    till = uuid4()
    failing = [remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(times=2), 2))]
    behind = [remembered(heard(till, Add(1), 3 + n)) for n in range(many)]
    await toy.decider(database).handle_batch([*failing, *behind])
    assert await retry(database, till) == 1 + many
    await agenda(database).sweep()
    assert await rested(database, till) == [("error", 1, False), *[("behind", 0, True)] * many]
    await eventually(lambda: flows(database, till))
    assert await total(database, till) == 1 + many


async def test_what_waits_on_another_stream_behind_a_message_that_fails_rests_as_well(database: Database) -> None:
    till, decider = uuid4(), toy.decider(database)
    await decider.handle_batch([remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(times=2), 2))])
    await decider.handle_batch([remembered(heard(till, Add(1), n, "late.things")) for n in (1, 2)])
    await retry(database, till)
    await agenda(database).sweep()
    assert await rested(database, till) == [("error", 1, False), ("behind", 0, True), ("behind", 0, True)]
    await eventually(lambda: flows(database, till))
    assert await total(database, till) == 3


async def test_what_comes_to_wait_for_what_its_own_batch_brings_after_it_is_decided_at_once(database: Database) -> None:
    till = uuid4()
    await toy.decider(database).handle_batch([remembered(heard(till, Add(1), n)) for n in (1, 3, 4, 2)])
    assert await flows(database, till)
    assert await total(database, till) == 4


async def test_of_what_lies_beyond_a_gap_only_the_first_is_tried_again(database: Database) -> None:
    till, decider = uuid4(), toy.decider(database)
    stream = [remembered(heard(till, Add(1), n)) for n in (1, 2, 3, 4)]
    await decider.handle_batch([stream[0], *stream[2:]])
    for tried in (2, 3):
        await database.execute("UPDATE waiting SET next_at = clock_timestamp() WHERE next_at IS NOT NULL")
        await agenda(database).sweep()
        assert await rested(database, till) == [("gap", tried, False), ("behind", 1, True)]
    await decider.handle_batch([stream[1]])
    assert await flows(database, till)
    assert await total(database, till) == 4


def command(till: UUID, number: int) -> Asked:
    """A client's numbered command."""
    return remembered(heard(till, Add(10), number, "toy.commands.erp", reply_to="erp"))


async def test_what_waits_of_a_client_holds_up_no_fact_and_leaves_nothing_behind(database: Database) -> None:
    till, unknown, decider = uuid4(), uuid4(), toy.decider(database)
    await decider.handle(asked(till, Add(1)))
    await decider.handle_batch([command(each, n) for each in (till, unknown) for n in (2, 3)])
    for number in (1, 2):
        (outcome,) = await decider.handle_batch([heard(till, Add(1), number)])
        assert not outcome.waiting
    await database.execute("UPDATE waiting SET next_at = clock_timestamp(), first_at = first_at - interval '60 s'")
    assert await flows(database, till)
    assert await database.read("SELECT 1 FROM waiting") == []
    assert await total(database, till) == 3
    assert await total(database, unknown) is None
    assert await database.read("SELECT 1 FROM tills WHERE id = $1", unknown) == []


async def test_a_fact_that_comes_to_wait_while_a_clients_commands_are_tried_does_not_rest_behind_them(
    database: Database,
) -> None:
    till, decider = uuid4(), toy.decider(database)
    await decider.handle(asked(till, Add(1)))
    await decider.handle_batch([command(till, n) for n in (2, 3)])
    read = [revive(row) for row in await of_subject(database, "tills", till)]
    await decider.handle_batch([remembered(heard(till, Explode(times=1), 1))])
    await decider.handle_batch(read)
    assert (await rested(database, till))[-1] == ("error", 1, False)

    async def decided() -> bool:
        await agenda(database).sweep()
        return len(await history(database, till)) == 2

    await eventually(decided)
    await agenda(database).sweep()
    assert [(reason, rests) for reason, _, rests in await rested(database, till)] == [("gap", False), ("behind", True)]
    await decider.handle_batch([command(till, 1)])
    assert await flows(database, till)
    assert await total(database, till) == 31


async def test_what_was_never_received_is_not_skipped_over_whatever_waits_before_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.skipping.revive_of", lambda _: revive)
    till, decider = uuid4(), toy.decider(database)
    runtime: Any = SimpleNamespace(database=database, deciders={"tills": decider})
    await decider.handle_batch([remembered(heard(till, Add(1), 1)), remembered(heard(till, Explode(), 2))])
    await decider.handle_batch([remembered(heard(till, Add(1), 2, "late.things"))])
    failing, beyond = [row["id"] for row in await listed(database, subject=till, after=0, limit=10)]
    with pytest.raises(MissesEarlier, match=r"late.things jumped from 0 to 2"):
        await skip(runtime, beyond, "planted")
    await skip(runtime, failing, "planted")
    await agenda(database).sweep()
    assert await rested(database, till) == [("gap", 1, False)]
    with pytest.raises(MissesEarlier):
        await skip(runtime, beyond, "planted")


async def test_a_sweep_goes_on_after_its_connection_was_cut_at_the_commit_of_what_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = uuid4(), uuid4()
    await toy.decider(database).handle_batch([asked(one, Add(5)), asked(one, Forward(two, 3))])
    admin, looks, cuts = await database.connect(), await database.connect(), 0
    monkeypatch.setattr("chassis.agenda._AGAIN_AFTER", 0.01)

    async def cut(name: str) -> None:
        nonlocal cuts
        if name == "commit.before" and cuts == 0:
            cuts += await admin.fetchval(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> $1",
                looks.get_server_pid(),
            )

    async def wait(seconds: float) -> None:
        if await looks.fetchval("SELECT true FROM tills WHERE id = $1", two):
            raise Dies

    monkeypatch.setattr(failpoints, "armed", SimpleNamespace(reach=cut))
    with pytest.raises(Dies):
        await asyncio.wait_for(agenda(database).run(SimpleNamespace(wait=wait)), 30)
    await admin.close()
    await looks.close()
    assert cuts > 0
    assert (await total(database, two), await listed(database, subject=None, after=0, limit=10)) == (3, [])
