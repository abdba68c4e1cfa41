"""The decider against real PostgreSQL: batches, races, refusals, claims, numbers, positions, waiting."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from chassis import failpoints
from chassis.asked import UnknownOutcome
from chassis.database import Database
from chassis.decider import Decider
from chassis.history import facts_of, folded, history
from chassis.ids import new_id
from testkit import toy
from testkit.eventually import eventually
from testkit.scraping import measured
from testkit.toy import TILLS, Add, Explode, Forward, Name, Receipt, Take, Unname, asked, heard

pytestmark = pytest.mark.servers


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    fresh = await fresh_database.template("toy", toy.create)
    database = Database(fresh.url)
    yield database
    await database.close()


@pytest.fixture
def decider(database: Database) -> Decider[toy.Till]:
    return toy.decider(database)


async def totals(database: Database) -> dict[Any, int]:
    return {row["id"]: row["total"] for row in await database.read("SELECT id, total FROM tills")}


async def test_a_batch_is_decided_in_order_and_each_message_sees_the_ones_before(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till = uuid4()
    outcomes = await decider.handle_batch([asked(till, Add(5)), asked(till, Take(3)), asked(till, Take(3))])
    assert [orjson.loads(o.answer)["total"] if not o.refused else o.refused.slug for o in outcomes] == [
        5,
        2,
        "not-enough",
    ]
    rows = await history(database, till)
    assert [row["sequence"] for row in rows] == [1, 2]
    assert folded(TILLS, facts_of(TILLS, rows)).total == 2


async def test_concurrent_callers_share_batches_and_lose_nothing(database: Database) -> None:
    deciders = [toy.decider(database) for _ in range(3)]
    tills = [uuid4() for _ in range(4)]
    await asyncio.gather(*(deciders[n % 3].handle(asked(tills[n % 4], Add(1))) for n in range(300)))
    assert await totals(database) == dict.fromkeys(tills, 75)
    for till in tills:
        rows = await history(database, till)
        assert [row["sequence"] for row in rows] == list(range(1, 76))
    assert sum(decider.counts["batches"] for decider in deciders) < 150


async def test_a_refused_neighbour_leaves_no_trace(database: Database, decider: Decider[toy.Till]) -> None:
    rich, poor = uuid4(), uuid4()
    await decider.handle_batch([asked(rich, Add(5)), asked(poor, Add(1))])
    outcomes = await decider.handle_batch([asked(poor, Take(9)), asked(rich, Add(1))])
    assert outcomes[0].refused is not None
    assert outcomes[1].refused is None
    assert await totals(database) == {rich: 6, poor: 1}


async def test_an_exception_is_answered_to_its_sender_alone(database: Database, decider: Decider[toy.Till]) -> None:
    till, other = uuid4(), uuid4()
    await decider.handle_batch([asked(till, Add(1)), asked(other, Add(1))])
    broken, fine = await decider.handle_batch([asked(till, Explode()), asked(other, Add(1))])
    assert isinstance(broken.error, ZeroDivisionError)
    assert fine.error is None
    assert await totals(database) == {till: 1, other: 2}


async def test_what_is_decided_and_the_memory_of_its_id_are_written_together_or_not_at_all(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till, lost = uuid4(), {"aggregate": "tills", "gate": "LockNotAvailableError"}
    before = measured("decider_lost_races_total", **lost)
    async with database.begin() as other:
        await other.execute("LOCK TABLE message_ids IN EXCLUSIVE MODE")
        deciding = asyncio.create_task(decider.handle(asked(till, Add(1), remember=True)))
        await eventually(lambda: decider.counts["lost"] >= 2)
        assert await totals(database) == {}
    assert (await deciding).refused is None
    assert await totals(database) == {till: 1}
    assert measured("decider_lost_races_total", **lost) >= before + 2


async def test_what_has_no_place_in_the_tables_fails_alone(database: Database, decider: Decider[toy.Till]) -> None:
    good, spoilt = [uuid4() for _ in range(5)], uuid4()
    batch = [asked(till, Add(1)) for till in good]
    batch.insert(2, asked(spoilt, Add(10**30)))  # JSON here has no integer of that size
    outcomes = await decider.handle_batch(batch)
    assert [outcome.error is not None for outcome in outcomes] == [n == 2 for n in range(6)]
    assert await totals(database) == dict.fromkeys(good, 1)


async def test_a_repeated_key_gets_the_first_answer_and_changes_nothing(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till, key = uuid4(), uuid4()
    first = await decider.handle(asked(till, Add(5), id=key, remember=True, request_hash=b"a"))
    again = await toy.decider(database).handle(asked(till, Add(5), id=key, remember=True, request_hash=b"a"))
    other = await decider.handle(asked(till, Add(6), id=key, remember=True, request_hash=b"b"))
    assert orjson.loads(again.answer) == orjson.loads(first.answer)
    assert again.replayed
    assert other.refused is not None
    assert other.refused.slug == "idempotency-key-reused"
    assert await totals(database) == {till: 5}


async def test_equal_keys_at_the_same_moment_are_decided_once(database: Database) -> None:
    till, key = uuid4(), uuid4()
    deciders = [toy.decider(database) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(d.handle(asked(till, Add(5), id=key, remember=True, request_hash=b"a")) for d in deciders for _ in range(5))
    )
    assert {orjson.loads(o.answer)["total"] for o in outcomes} == {5}
    assert await totals(database) == {till: 5}


async def test_equal_keys_for_different_subjects_are_decided_once(database: Database) -> None:
    pair = [toy.decider(database) for _ in range(2)]
    keys = [uuid4() for _ in range(20)]
    outcomes = await asyncio.gather(
        *(
            pair[n].handle(asked(uuid4(), Add(1), id=key, remember=True, request_hash=bytes([n])))
            for key in keys
            for n in (0, 1)
        )
    )
    assert len(await totals(database)) == len(keys)
    assert sum(outcome.refused is not None for outcome in outcomes) == len(keys)


async def test_one_key_with_two_contents_in_one_batch_is_refused_the_second_time(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till, key = uuid4(), uuid4()
    batch = [asked(till, Add(n), id=key, remember=True, request_hash=bytes([n])) for n in (5, 6)]
    first, second = await decider.handle_batch(batch)
    assert first.refused is None
    assert second.refused is not None
    assert second.refused.slug == "idempotency-key-reused"
    assert await totals(database) == {till: 5}


async def test_a_refusal_is_remembered_too(decider: Decider[toy.Till]) -> None:
    till, key = uuid4(), uuid4()
    await decider.handle(asked(till, Add(1)))
    first = await decider.handle(asked(till, Take(2), id=key, remember=True))
    await decider.handle(asked(till, Add(5)))
    again = await decider.handle(asked(till, Take(2), id=key, remember=True))
    assert first.refused is not None
    assert again.refused is not None
    assert (again.refused.slug, again.refused.status, again.refused.facts) == ("not-enough", 409, {"total": 1})


async def test_one_of_two_gets_the_claim_and_the_other_is_told(database: Database) -> None:
    one, two = toy.decider(database), toy.decider(database)
    tills = [uuid4(), uuid4()]
    await one.handle_batch([asked(till, Add(1)) for till in tills])
    outcomes = await asyncio.gather(one.handle(asked(tills[0], Name("x"))), two.handle(asked(tills[1], Name("x"))))
    assert sorted(o.refused.slug if o.refused else "named" for o in outcomes) == ["name-taken", "named"]


async def test_a_released_claim_can_be_taken_in_the_same_batch(database: Database, decider: Decider[toy.Till]) -> None:
    one, two = uuid4(), uuid4()
    await decider.handle_batch([asked(one, Add(1)), asked(two, Add(1)), asked(one, Name("x"))])
    outcomes = await decider.handle_batch([asked(one, Unname("x")), asked(two, Name("x"))])
    assert all(o.refused is None for o in outcomes)
    assert decider.counts["lost"] == 0
    (row,) = await database.read("SELECT subject FROM claims WHERE claim = 'name:x'")
    assert row["subject"] == two


async def test_numbers_of_a_gap_free_series_have_no_gap_under_concurrency(database: Database) -> None:
    deciders = [toy.decider(database) for _ in range(4)]
    tills = [uuid4() for _ in range(8)]
    await deciders[0].handle_batch([asked(till, Add(1)) for till in tills])
    await asyncio.gather(*(deciders[n % 4].handle(asked(tills[n % 8], Receipt())) for n in range(40)))
    numbers = [row["number"] for row in await database.read("SELECT number FROM receipts ORDER BY number")]
    assert numbers == [f"T-{n:04d}" for n in range(1, 41)]


async def test_a_number_of_a_gap_free_series_is_not_used_up_by_what_is_rolled_back(
    database: Database, decider: Decider[toy.Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    till = uuid4()
    await decider.handle(asked(till, Add(1)))

    async def die(name: str) -> None:
        if name == "commit.before":
            raise ZeroDivisionError("planted")

    monkeypatch.setattr(failpoints, "armed", SimpleNamespace(reach=die))
    with pytest.raises(ZeroDivisionError):
        await decider.handle(asked(till, Receipt()))
    monkeypatch.setattr(failpoints, "armed", None)
    await decider.handle(asked(till, Receipt()))
    assert [row["number"] for row in await database.read("SELECT number FROM receipts")] == ["T-0001"]


async def test_a_stale_edit_version_is_refused(decider: Decider[toy.Till]) -> None:
    till = uuid4()
    first = await decider.handle(asked(till, Add(1)))
    second = await decider.handle(asked(till, Add(1), expect=first.edit_version))
    third = await decider.handle(asked(till, Add(1), expect=first.edit_version))
    assert second.refused is None
    assert third.refused is not None
    assert third.refused.slug == "stale-version"


# -- positions ---------------------------------------------------------------------------------------------------


async def test_a_fact_heard_twice_counts_once(database: Database, decider: Decider[toy.Till]) -> None:
    till = uuid4()
    batch = [heard(till, Add(1), 1), heard(till, Add(1), 2), heard(till, Add(1), 2)]
    await decider.handle_batch(batch)
    outcomes = await decider.handle_batch(batch)
    assert all(o.duplicate for o in outcomes)
    assert await totals(database) == {till: 2}


async def test_a_jump_waits_and_flows_on_when_the_gap_is_filled(database: Database, decider: Decider[toy.Till]) -> None:
    till, other = uuid4(), uuid4()
    late = await decider.handle_batch([heard(till, Add(1), 1), heard(till, Add(4), 3), heard(other, Add(7), 1)])
    assert late[1].waiting
    assert late[1].gap == ("other.things", 1)
    assert await totals(database) == {till: 1, other: 7}
    behind = await decider.handle_batch([heard(till, Add(8), 4)])
    assert behind[0].waiting
    await decider.handle_batch([heard(till, Add(2), 2)])
    rows = await database.read("SELECT count(*) AS n FROM waiting WHERE next_at <= clock_timestamp()")
    assert rows[0]["n"] == 2


async def test_a_message_that_fails_blocks_its_request_and_nobody_else(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till, other = uuid4(), uuid4()
    outcomes = await decider.handle_batch(
        [heard(till, Add(1), 1), heard(till, Explode(), 2), heard(till, Add(1), 3), heard(other, Add(1), 1)]
    )
    assert [o.waiting for o in outcomes] == [False, True, True, False]
    assert await totals(database) == {till: 1, other: 1}
    (row,) = await database.read("SELECT blocked, heard::text FROM tills WHERE id = '" + str(till) + "'")
    assert (row["blocked"], orjson.loads(row["heard"])) == ("error", {"other.things": 1})


async def test_an_unhandled_fact_moves_the_position_alone(database: Database, decider: Decider[toy.Till]) -> None:
    till = uuid4()
    await decider.handle_batch([heard(till, None, 1), heard(till, Add(1), 2)])
    assert await totals(database) == {till: 1}


async def test_what_is_not_known_yet_waits_and_a_heard_refusal_is_a_dead_letter(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till, empty = uuid4(), uuid4()
    (unknown,) = await decider.handle_batch([heard(till, Take(1), 1)])
    assert unknown.waiting
    await decider.handle_batch([heard(empty, Add(1), 1), heard(empty, Take(5), 2), heard(empty, Add(1), 3)])
    (row,) = await database.read("SELECT reason, subject FROM dead_letters")
    assert (row["reason"], row["subject"]) == ("not-enough", empty)
    assert (await totals(database))[empty] == 2


async def test_a_reaction_is_kept_with_the_fact_that_caused_it(database: Database, decider: Decider[toy.Till]) -> None:
    one, two = uuid4(), uuid4()
    await decider.handle_batch([asked(one, Add(5)), asked(one, Forward(two, 3))])
    (row,) = await database.read("SELECT kind, subject, message::text FROM waiting")
    assert (row["kind"], row["subject"]) == ("reaction", two)
    assert orjson.loads(row["message"]) == {"name": "tills.Add", "message": {"amount": 3}}


async def test_a_client_is_answered_on_its_results_topic(database: Database, decider: Decider[toy.Till]) -> None:
    till, command = uuid4(), new_id()
    await decider.handle_batch([asked(till, Add(5), id=command, remember=True, reply_to="erp")])
    rows = await database.read("SELECT topic, type, data::text FROM journal ORDER BY recorded_at, grp, seq")
    answer = orjson.loads(rows[1]["data"])
    assert (rows[1]["topic"], rows[1]["type"]) == ("toy.results.erp", "throughline.command-accepted")
    assert answer == {
        "command_id": str(command),
        "subject": str(till),
        "answer": {"id": str(till), "total": 5, "names": []},
    }


async def test_a_busy_row_does_not_stall_its_neighbours(database: Database, decider: Decider[toy.Till]) -> None:
    busy, free = uuid4(), uuid4()
    await decider.handle_batch([asked(busy, Add(1)), asked(free, Add(1))])
    async with database.begin() as other:
        await other.execute("SELECT 1 FROM tills WHERE id = $1 FOR UPDATE", busy)
        task = asyncio.create_task(decider.handle_batch([asked(busy, Add(1)), asked(free, Add(1))]))

        async def freed() -> bool:
            return (await totals(database))[free] == 2

        await eventually(freed)
        assert not task.done()
    assert [o.refused for o in await task] == [None, None]
    assert await totals(database) == {busy: 2, free: 2}


async def test_a_write_that_is_cut_off_has_an_unknown_outcome(fresh_database: Any) -> None:
    database = Database((await fresh_database.template("toy", toy.create)).url, lock_timeout_ms=20_000)
    till = uuid4()
    await toy.decider(database).handle(asked(till, Add(1)))
    async with database.begin() as other:
        await other.execute("SELECT 1 FROM tills WHERE id = $1 FOR UPDATE", till)
        task = asyncio.create_task(toy.decider(database).handle(asked(till, Add(1))))

        async def cut_off() -> bool:
            waiting = "datname = current_database() AND wait_event_type = 'Lock'"
            return bool(await database.read(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {waiting}"))

        await eventually(cut_off)
        with pytest.raises(UnknownOutcome):
            await task
    assert await totals(database) == {till: 1}
    await database.close()
