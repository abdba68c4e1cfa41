"""Writes that are lost for good, against real PostgreSQL: only the message that causes it pays, and numbers stay."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from chassis.agenda import Agenda
from chassis.asked import Asked, Outcome
from chassis.clock import utc_now
from chassis.database import Database, Unavailable
from chassis.decider import Decider
from chassis.documents import Documents
from chassis.races import Lost
from chassis.waiting import envelope, headers, of_subject, retry
from chassis.writing import Writer
from testkit import toy, toywaiting
from testkit.eventually import eventually
from testkit.toy import TILLS, Add, CountAt, Explode, Name, Receipt, Unname, asked, heard
from testkit.toywaiting import remembered

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


async def totals(database: Database) -> dict[UUID, int]:
    return {row["id"]: row["total"] for row in await database.read("SELECT id, total FROM tills")}


async def contradicted(database: Database, decider: Decider[toy.Till]) -> UUID:
    """A till whose name is missing from the claims: whoever takes the name from it can never write that."""
    till = uuid4()
    await decider.handle_batch([asked(till, Add(1)), asked(till, Name("x"))])
    await database.execute("DELETE FROM claims")
    return till


# -- claims ------------------------------------------------------------------------------------------------------


async def test_one_claim_that_two_of_a_batch_want_has_one_holder(
    database: Database, decider: Decider[toy.Till]
) -> None:
    one, two = uuid4(), uuid4()
    await decider.handle_batch([asked(till, Add(1)) for till in (one, two)])
    first, second = await decider.handle_batch([asked(one, Name("x")), asked(two, Name("x"))])
    assert first.refused is None
    assert second.refused is not None
    assert second.refused.slug == "name-taken"
    assert [row["subject"] for row in await database.read("SELECT subject FROM claims")] == [one]


async def test_a_name_goes_on_in_a_batch_that_lost_another(database: Database, decider: Decider[toy.Till]) -> None:
    one, two, three = (uuid4() for _ in range(3))
    await decider.handle_batch([asked(till, Add(1)) for till in (one, two, three)])
    await decider.handle_batch([asked(one, Name("x")), asked(three, Name("y"))])
    batch = [asked(two, Name("y")), asked(one, Unname("x")), asked(two, Name("x")), asked(three, Name("x"))]
    outcomes = await decider.handle_batch(batch)
    assert [outcome.refused is None for outcome in outcomes] == [False, True, True, False]
    rows = await database.read("SELECT claim, subject FROM claims")
    assert {row["claim"]: row["subject"] for row in rows} == {"name:x": two, "name:y": three}


# -- what is lost for good ---------------------------------------------------------------------------------------


async def test_a_caller_whose_write_can_never_be_is_told_so_and_its_neighbours_are_written(
    database: Database, decider: Decider[toy.Till]
) -> None:
    spoilt, good = await contradicted(database, decider), [uuid4() for _ in range(4)]
    batch = [asked(till, Add(1)) for till in good]
    batch.insert(1, asked(spoilt, Unname("x")))
    outcomes = await asyncio.gather(*map(decider.handle, batch), return_exceptions=True)
    assert [type(getattr(outcome, "error", outcome)) for outcome in outcomes] == [
        Lost if n == 1 else type(None) for n in range(5)
    ]
    assert await totals(database) == dict.fromkeys((*good, spoilt), 1)


async def test_a_fact_whose_write_can_never_be_waits_and_its_neighbours_are_written(
    database: Database, decider: Decider[toy.Till]
) -> None:
    spoilt, good = await contradicted(database, decider), uuid4()
    outcomes = await decider.handle_batch(
        [heard(good, Add(1), 1), heard(spoilt, Unname("x"), 1), heard(spoilt, Add(1), 2), heard(good, Add(1), 2)]
    )
    assert [outcome.waiting for outcome in outcomes] == [False, True, True, False]
    assert await totals(database) == {spoilt: 1, good: 2}
    rows = await database.read("SELECT subject, sequence, reason, next_at IS NULL AS idle FROM waiting ORDER BY id")
    assert [tuple(row) for row in rows] == [(spoilt, 1, "error", False), (spoilt, 2, "behind", True)]


async def test_what_waits_behind_a_fact_that_can_never_be_written_waits_on_and_other_requests_are_swept(
    database: Database, decider: Decider[toy.Till]
) -> None:
    spoilt, good = await contradicted(database, decider), uuid4()
    facts = [heard(spoilt, Unname("x"), 1), heard(spoilt, Add(5), 1, "late.things"), heard(good, Add(1), 2)]
    messages = {each.id: each.message for each in facts}

    def revive(row: Any) -> Asked:
        kept = {"stream": row["stream"], "sequence": row["sequence"], "record": row["record"], "headers": headers(row)}
        return Asked(subject=row["subject"], message=messages[row["event_id"]], **kept, **envelope(row))

    await decider.handle_batch(facts)
    await decider.handle_batch([heard(good, Add(1), 1)])
    await retry(database, spoilt)
    await Agenda(database, {"tills": decider}, revive).sweep()
    assert await totals(database) == {spoilt: 1, good: 2}
    rows = await database.read("SELECT subject, reason, attempts FROM waiting ORDER BY id")
    assert [(row["subject"], row["reason"]) for row in rows] == [(spoilt, "error"), (spoilt, "behind")]
    assert rows[0]["attempts"] == 1
    (row,) = await database.read(f"SELECT blocked FROM tills WHERE id = '{spoilt}'")
    assert row["blocked"] == "error"


async def test_what_another_sweep_decides_while_this_one_looks_for_its_fault_holds_up_nothing(
    database: Database, decider: Decider[toy.Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = await contradicted(database, decider)
    facts = [heard(spoilt, Unname("x"), 1), heard(spoilt, Explode(), 2), heard(spoilt, Add(1), 3)]
    await decider.handle_batch([remembered(each) for each in facts])
    failed = decider._failed

    async def waiting() -> list[Asked]:
        return [toywaiting.revive(row) for row in await of_subject(database, "tills", spoilt)]

    async def mended_meanwhile(first: Asked, error: Exception) -> Outcome:
        outcome = await failed(first, error)
        await database.execute("INSERT INTO claims (claim, subject) VALUES ('name:x', $1)", spoilt)
        await toy.decider(database).handle_batch(await waiting())
        return outcome

    monkeypatch.setattr(decider, "_failed", mended_meanwhile)
    await decider.handle_batch(await waiting())
    rows = await database.read("SELECT sequence, next_at IS NULL AS rests FROM waiting ORDER BY id")
    assert [tuple(row) for row in rows] == [(2, False), (3, True)]


async def test_what_another_has_settled_meanwhile_is_asked_anew_and_not_taken_for_a_fault(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till = uuid4()
    gone = heard(till, Add(1), 1, waiting_id=1, waited_since=utc_now())
    with pytest.raises(Unavailable):
        await decider.handle_batch([gone, heard(till, Add(1), 2)])
    assert await totals(database) == {}
    assert await database.read("SELECT 1 FROM waiting") == []
    assert decider.counts["batches"] == 1


async def test_a_caller_whose_neighbours_row_stays_locked_is_told_of_its_own(
    database: Database, decider: Decider[toy.Till], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, free = uuid4(), uuid4()
    await decider.handle_batch([asked(busy, Add(1)), asked(free, Add(1))])
    monkeypatch.setattr("chassis.decider._LOCKED_TRIES", 1)
    begin = database.begin
    monkeypatch.setattr(database, "begin", lambda: begin(lock_timeout="100ms"))
    async with begin() as other:
        await other.execute("SELECT 1 FROM tills WHERE id = $1 FOR UPDATE", busy)
        calls = [decider.handle(asked(till, Add(1))) for till in (busy, free)]
        locked, written = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(Unavailable):
            await decider.handle_batch([asked(busy, Add(1)), asked(free, Add(1))])
    assert isinstance(locked, Unavailable)
    assert not isinstance(written, BaseException)
    assert await totals(database) == {busy: 1, free: 3}


async def test_a_timer_that_breaks_a_unique_index_is_no_race_to_be_run_again(
    database: Database, decider: Decider[toy.Till]
) -> None:
    till, other = uuid4(), uuid4()
    await database.execute("CREATE UNIQUE INDEX ON tills ((state->>'counted')) WHERE state->>'counted' <> '0'")
    await decider.handle_batch([asked(each, Add(1)) for each in (till, other)])
    await decider.handle_batch([asked(each, CountAt(utc_now())) for each in (till, other)])

    def revive(row: Any) -> Asked:
        raise AssertionError(row)

    agenda = Agenda(database, {"tills": decider}, revive)
    await eventually(agenda.sweep)
    rows = await database.read("SELECT state->>'counted' AS counted, (SELECT count(*) FROM wake) AS later FROM tills")
    assert sorted(row["counted"] for row in rows) == ["0", "1"]
    assert rows[0]["later"] == 1


# -- numbers -----------------------------------------------------------------------------------------------------


async def last(database: Database) -> int:
    rows = await database.read("SELECT last FROM series")
    return rows[0]["last"] if rows else 0


def failing(database: Database, **changes: Any) -> Decider[toy.Till]:
    return Decider(replace(TILLS, **changes), database, Documents(database), Writer("toy", toy.PARTITIONS, toy.CLASSES))


async def test_a_message_that_fails_uses_up_no_number(database: Database) -> None:
    good, bad = uuid4(), uuid4()

    def answer(subject: UUID, state: toy.Till, facts: Any) -> dict[str, Any]:
        return {"total": state.total // (subject != bad or not state.names)}

    decider = failing(database, answer=answer)
    await decider.handle_batch([asked(till, Add(1)) for till in (good, bad)])
    outcomes = await decider.handle_batch([asked(till, Receipt()) for till in (bad, good, bad)])
    assert [outcome.error is None for outcome in outcomes] == [False, True, False]
    assert await last(database) == 1
    assert [row["number"] for row in await database.read("SELECT number FROM receipts")] == ["T-0001"]


async def test_a_message_that_fails_at_its_number_gives_it_back(database: Database) -> None:
    good, bad = uuid4(), uuid4()

    def answer(subject: UUID, state: toy.Till, facts: Any) -> dict[str, Any]:
        return {"total": state.total // (subject != bad or "#T-0001" not in state.names)}

    decider = failing(database, answer=answer)
    await decider.handle_batch([asked(till, Add(1)) for till in (good, bad)])
    broken, fine = await decider.handle_batch([asked(bad, Receipt()), asked(good, Receipt())])
    assert (broken.error is None, fine.error is None) == (False, True)
    assert await last(database) == 1
    assert [row["till"] for row in await database.read("SELECT till FROM receipts")] == [good]
