"""A consumer that can be seen to be deaf."""

import asyncio
import math
import time
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from chassis import lenient
from chassis.kafka import fetching_whole, on_answer, silent
from chassis.pace import rest_after

log = structlog.get_logger(__name__)

_AGAIN_AFTER = 0.5
"""Seconds after a poll that failed: several partitions may each have an error, and each poll tells one."""


class Watched(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer that knows when it was last polled with success: nothing else tells a dead one from an idle one.

    A poll is no success once the task that fetches has ended: it finds nothing then, for ever. One that takes long may
    be waiting for a rebalance; one that fails may be the first of many, and is repeated soon.
    It answers a poll when there is something: an empty answer, or an error, would make FastStream sleep, deaf to what
    comes. Between two batches it rests, so that the next is worth its round trips.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        lenient.install()
        super().__init__(*args, **kwargs)
        self.last_ok = self.answered_at = time.monotonic()
        self.polled = False
        self._failing_since: float | None = None
        self._found_at = -math.inf
        on_answer(self, self._answered)

    async def start(self) -> None:
        """Connect and join the group."""
        await super().start()
        fetching_whole(self)

    @property
    def failing_for(self) -> float:
        """Seconds since polls began to fail, without a good one since."""
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    async def getmany(self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        await asyncio.sleep(rest_after(time.monotonic() - self._found_at))
        found: Any = None
        while not found:
            try:
                found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
            except KafkaError as error:
                log.warning("poll_failed", error=repr(error))
                self._failed()
                await asyncio.sleep(_AGAIN_AFTER)
                continue
            if self._fetcher.error_future.done():
                self._failed()
            else:
                self.last_ok, self.polled, self._failing_since = time.monotonic(), True, None
        self._found_at = self.last_ok
        return found

    def _answered(self) -> None:
        self.answered_at = time.monotonic()

    def _failed(self) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    async def stop(self) -> None:
        """Leave the group and hang up. aiokafka stops half-way when fetching has failed: that error is known by now."""
        fetcher = self._fetcher
        if fetcher is not None and fetcher.error_future.done():
            fetcher._pending_tasks = {task for task in fetcher._pending_tasks if not task.done()}
            fetcher._fetch_task = asyncio.get_running_loop().create_future()
        await super().stop()

    async def silent(self) -> str | None:
        """None when a broker answers now, else what is wrong."""
        return await silent(self._client)
