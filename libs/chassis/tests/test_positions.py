"""Many who wait for a position: one look serves them all, and no more wait than a process has room for."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis import positions
from chassis.database import Unavailable
from chassis.positions import Positions
from chassis.problems import Problem
from testkit import toy
from testkit.eventually import eventually
from testkit.toyservice import SERVICE

TOLD = positions.told_or_heard(toy.TILLS)


class Tables:
    """What a service has told, heard and kept; counts the looks at it."""

    def __init__(self) -> None:
        self.told: dict[UUID, int] = {}
        self.kept: dict[str, int] = {}
        self.looks = 0
        self.away = False

    async def read(self, sql: str, *columns: Sequence[Any]) -> list[dict[str, int]]:
        self.looks += sql == TOLD
        if self.away:
            raise Unavailable("planted")
        if sql == TOLD:
            rows = enumerate(zip(*columns, strict=True), 1)
            return [{"n": n} for n, (id, _, sequence) in rows if self.told.get(id, -1) >= sequence]
        if "documents" in sql:
            return [{"n": n} for _, id, sequence, n in zip(*columns, strict=True) if self.kept.get(id, 0) >= sequence]
        return []


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def awaited(tables: Tables) -> Positions:
    return Positions(SERVICE, tables)  # type: ignore[arg-type]


def of(till: UUID, sequence: int) -> str:
    return f"toy.tills/{till}@{sequence}"


async def test_one_look_serves_all_who_wait_and_nobody_looks_when_nobody_waits(
    tables: Tables, awaited: Positions
) -> None:
    tills = [uuid4() for _ in range(50)]
    waiting = [asyncio.create_task(awaited.reach(of(till, 2), "wait=10")) for till in tills]
    await eventually(lambda: tables.looks > 53)
    assert not any(each.done() for each in waiting)
    assert tables.looks < 50 + 20
    tables.told = dict.fromkeys(tills, 2)
    await asyncio.gather(*waiting)
    await eventually(lambda: awaited._looking is not None and awaited._looking.done())


async def test_who_comes_beyond_what_a_process_has_room_for_is_answered_at_once(
    tables: Tables, awaited: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "MOST_WAITING", 2)
    till, other = uuid4(), uuid4()
    waiting = [asyncio.create_task(awaited.reach(of(till, 1), "wait=10")) for _ in range(2)]
    await eventually(lambda: tables.looks > 2)
    async with asyncio.timeout(5.0):
        with pytest.raises(Problem, match="not heard here yet") as refused:
            await awaited.reach(of(other, 1), "wait=10")
    assert (refused.value.slug, refused.value.headers) == ("position-not-reached", {"retry-after": "1"})
    tables.told[till] = 1
    await asyncio.gather(*waiting)
    await awaited.reach(of(till, 1), "wait=10")


async def test_who_waits_is_told_when_the_tables_cannot_be_read(tables: Tables, awaited: Positions) -> None:
    waiting = [asyncio.create_task(awaited.reach(of(uuid4(), 1), "wait=10")) for _ in range(2)]
    await eventually(lambda: tables.looks > 2)
    tables.away = True
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in told] == [Unavailable, Unavailable]


async def test_who_gives_up_does_not_keep_others_from_their_positions(tables: Tables, awaited: Positions) -> None:
    till, other = uuid4(), uuid4()
    giving_up, staying = (asyncio.create_task(awaited.reach(of(each, 1), "wait=10")) for each in (till, other))
    await eventually(lambda: tables.looks > 2)
    giving_up.cancel()
    tables.told = {till: 1, other: 1}
    await staying
    with pytest.raises(asyncio.CancelledError):
        await giving_up


async def test_a_document_that_is_kept_is_at_its_position(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    reference: Any = type("Kept", (), {"kind": "contact", "topic": "other.people"})
    service: Any = type("Service", (), {"aggregates": [toy.TILLS], "references": [reference]})
    awaited = Positions(service, tables)  # type: ignore[arg-type]
    contact = uuid4()
    tables.kept[str(contact)] = 3
    await awaited.reach(f"other.people/{contact}@3", None)
    with pytest.raises(Problem):
        await awaited.reach(f"other.people/{contact}@4", "wait=1")


async def test_what_is_on_its_way_is_waited_for_until_anything_of_it_is_here(
    tables: Tables, awaited: Positions
) -> None:
    till = uuid4()
    waiting = asyncio.create_task(awaited.here(toy.TILLS, till, 10.0))
    await eventually(lambda: tables.looks > 1)
    tables.told[till] = 0
    assert await waiting
    assert not await awaited.here(toy.TILLS, uuid4(), 0.01)


def test_rests_begin_with_none_and_grow_to_half_a_second() -> None:
    assert [round(each, 3) for each in islice(positions.rests(), 6)] == [0.0, 0.1, 0.2, 0.4, 0.5, 0.5]
