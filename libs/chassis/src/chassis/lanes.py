"""One topic's rows of one group on their way to Kafka: in order, one batch at a time, backing off alone."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from chassis import telemetry
from chassis.partition import partition_of
from chassis.publishing import NotSent, Publisher, Record, record_of

log = structlog.get_logger(__name__)

_BACK_OFF = (0.05, 0.2, 1.0, 3.0)


class Lane:
    """What was read for one topic and is not acknowledged yet, and the sending of it.

    Rows of a key always take the same lane, and a lane sends in order of `seq`. What cannot be sent stays in `unsent`
    and is read again; while anything of it is there, nothing later overtakes it.
    """

    def __init__(
        self, topic: str, publisher: Publisher, source: str, partitions: int, sent: Callable[[int], None]
    ) -> None:
        self.topic = topic
        self.unsent: dict[int, datetime] = {}
        """Numbers read and not acknowledged, with the time they were recorded."""
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        self._publisher = publisher
        self._source = source
        self._partitions = partitions
        self._count = sent
        self._not_before = 0.0

    @property
    def sending(self) -> bool:
        """Whether a batch is out."""
        return self.task is not None and not self.task.done()

    @property
    def ready(self) -> bool:
        """Whether something may be sent now."""
        return not self.sending and time.monotonic() >= self._not_before

    @property
    def ready_in(self) -> float:
        """Seconds until a failed lane tries again."""
        return max(0.0, self._not_before - time.monotonic())

    def again(self, most: int) -> list[int]:
        """The first numbers of what is unsent."""
        return heapq.nsmallest(most, self.unsent)

    def note(self, rows: Iterable[Any]) -> None:
        """Remember what was read and cannot be sent now."""
        self.unsent.update((row["seq"], row["recorded_at"]) for row in rows)

    def take(self, group: int, rows: Sequence[Any], asked: Iterable[int], until: float) -> None:
        """Send what a poll found that asked for these numbers again, up to the first one still to be read again.

        That is one of this lane, or `until`: a number whose topic is not known yet.
        """
        for number in asked:
            self.unsent.pop(number, None)
        until = min([until, *self.unsent])
        self.note(rows)
        first = [row for row in rows if row["seq"] < until]
        if first:
            self.start(group, first)

    def start(self, group: int, rows: Sequence[Any]) -> None:
        """Send rows in order; nothing that is unsent comes before them."""
        self.task = asyncio.create_task(self._send(group, rows))

    async def _send(self, group: int, rows: Sequence[Any]) -> None:
        try:
            count = await self._publisher.partitions(self.topic)
            for partition, some in self._placed(group, rows, count).items():
                await self._send_to(partition, some)
        except (NotSent, OSError, TimeoutError, KafkaError) as error:
            self._back_off(group, error)
        except Exception as error:
            telemetry.RELAY_FAILURES_TOTAL.inc()
            log.exception("row_not_readable", topic=self.topic, group=group)
            self._back_off(group, error)
        else:
            self.failures = 0

    def _back_off(self, group: int, error: Exception) -> None:
        pause = _BACK_OFF[min(self.failures, len(_BACK_OFF) - 1)]
        self.failures += 1
        self._not_before = time.monotonic() + pause
        log.warning("not_published", topic=self.topic, group=group, error=str(error), again_in=pause)

    async def _send_to(self, partition: int, rows: Sequence[Any]) -> None:
        records: list[Record] = [record_of(row, self._source) for row in rows]
        try:
            await self._publisher.send(self.topic, partition, records)
        except NotSent as error:
            self._acknowledged(rows[: error.sent])
            raise
        self._acknowledged(rows)

    def _acknowledged(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.unsent.pop(row["seq"], None)
        self._count(len(rows))

    def _placed(self, group: int, rows: Sequence[Any], count: int) -> dict[int, Sequence[Any]]:
        """Rows by partition. A topic with as many partitions as there are groups, or a divisor of it, has one here."""
        if self._partitions % count == 0:
            return {group % count: rows}
        placed: dict[int, list[Any]] = {}
        for row in rows:
            placed.setdefault(partition_of(row["key"].encode(), count), []).append(row)
        return dict(placed)
