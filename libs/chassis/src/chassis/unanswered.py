"""How far the topic of asks may be committed: long answers run beside the consumer, and their offsets stay open."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition


class Unanswered:
    """Asks whose answers take long, each a task of its own; equal ones share it.

    An offset is committed once it and everything before it on its partition is answered: an ask whose process dies is
    read again by the next.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._read: dict[TopicPartition, int] = {}
        self._open: dict[TopicPartition, dict[int, Hashable]] = {}

    def read(self, place: TopicPartition, last: int) -> None:
        """Everything up to `last` was read, and answered but for what is `begun`."""
        self._read[place] = last + 1

    def begin(
        self, place: TopicPartition, offset: int, key: Hashable, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Answer an ask beside everything else; one with the same key under way answers it as well."""
        self._open.setdefault(place, {})[offset] = key
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(work())

    def settle(self) -> None:
        """Take what is done off the list; raises what one of the answers raised."""
        done = {key: task for key, task in self._tasks.items() if task.done()}
        for key, task in done.items():
            task.result()
            del self._tasks[key]
        for offsets in self._open.values():
            for offset in [offset for offset, key in offsets.items() if key in done]:
                del offsets[offset]

    def committable(self) -> dict[TopicPartition, int]:
        """The next offset of each partition whose earlier ones are all answered."""
        return {place: min(self._open.get(place) or [read]) for place, read in self._read.items()}

    async def drop(self, places: Iterable[TopicPartition]) -> None:
        """Leave what is open on these partitions to whoever gets them."""
        gone = set(places)
        keys = {key for place in gone for key in self._open.pop(place, {}).values()}
        for place in gone:
            self._read.pop(place, None)
        kept = {key for offsets in self._open.values() for key in offsets.values()}
        ended = [self._tasks.pop(key) for key in keys - kept if key in self._tasks]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def drop_all(self) -> None:
        """Leave everything that is open to the next process."""
        await self.drop([*self._open, *self._read])


class Dropping(ConsumerRebalanceListener):  # type: ignore[misc]
    """Before partitions move to another process: commit what is answered, drop what is not."""

    def __init__(self, unanswered: Unanswered, commit: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._unanswered = unanswered
        self._commit = commit

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Hand over."""
        await self._commit()
        await self._unanswered.drop(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing to prepare."""
