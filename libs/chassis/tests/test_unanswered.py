"""Offsets of asks: committed once they, and all before them, are answered; never what a process leaves open."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka import TopicPartition

from chassis.unanswered import Unanswered

HERE, THERE = TopicPartition("billing.asks", 0), TopicPartition("billing.asks", 1)


class Work:
    """Answers that take until the test says so; `begun` counts them."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self._done = asyncio.Event()

    def answer(self, fails: bool = False) -> Callable[[], Coroutine[Any, Any, None]]:
        async def run() -> None:
            self.begun += 1
            try:
                await self._done.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            if fails:
                raise OSError("planted")

        return run

    async def end(self) -> None:
        self._done.set()
        await settled()


async def settled() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_was_read_may_be_committed_up_to_the_first_open_answer_of_its_partition() -> None:
    asks, work = Unanswered(), Work()
    asks.begin(HERE, 7, "bulk", work.answer())
    asks.read(HERE, 9)
    asks.read(THERE, 3)
    assert asks.committable() == {HERE: 7, THERE: 4}
    await work.end()
    assert asks.committable() == {HERE: 7, THERE: 4}
    asks.settle()
    assert asks.committable() == {HERE: 10, THERE: 4}


async def test_equal_asks_share_one_answer_and_are_done_together() -> None:
    asks, work = Unanswered(), Work()
    for offset in (4, 6):
        asks.begin(HERE, offset, "bulk", work.answer())
    asks.begin(HERE, 8, "another", Work().answer())
    asks.read(HERE, 8)
    await settled()
    assert work.begun == 1
    await work.end()
    asks.settle()
    assert asks.committable() == {HERE: 8}
    await asks.drop_all()


async def test_an_answer_that_failed_is_said_and_its_offset_stays_open() -> None:
    asks, work = Unanswered(), Work()
    asks.begin(HERE, 4, "bulk", work.answer(fails=True))
    asks.read(HERE, 5)
    await settled()
    await work.end()
    with pytest.raises(OSError, match="planted"):
        asks.settle()
    assert asks.committable() == {HERE: 4}


async def test_partitions_that_move_take_their_open_answers_along_unless_another_partition_asks_the_same() -> None:
    asks, alone, shared = Unanswered(), Work(), Work()
    asks.begin(HERE, 4, "alone", alone.answer())
    asks.begin(HERE, 5, "shared", shared.answer())
    asks.begin(THERE, 1, "shared", shared.answer())
    for place in (HERE, THERE):
        asks.read(place, 9)
    await settled()
    await asks.drop([HERE])
    assert (alone.cancelled, shared.cancelled) == (1, 0)
    assert asks.committable() == {THERE: 1}
    await shared.end()
    asks.settle()
    assert asks.committable() == {THERE: 10}
