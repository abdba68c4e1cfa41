"""One group's consumer: FastStream wrapped once, offsets that follow what is applied, and a watch over it.

A batch is never abandoned: it is retried with back-off until it is applied, or the process ends.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from chassis import failpoints, skew
from chassis.asked import UnknownOutcome
from chassis.database import AWAY, Unavailable
from chassis.ids import jitter
from chassis.kafka import IDLE_MS

log = structlog.get_logger(__name__)

QUIET_TOO_LONG = 30.0
_FAILING_TOO_LONG = 9.0
"""Seconds in which every poll fails, as they do for ever when a heartbeat has died."""
_HANDLING_TOO_LONG = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_REVOKED_WITHIN = 0.8
"""The part of the time that a rebalance leaves in which the batch in hand may finish."""
_COMMIT_WITHIN = 5.0
RESENT = ".resent"
_DEFECTS = 8
"""Times a batch may fail for another reason than a server that is away; then the process ends, with its trace."""

Apply = Callable[[Sequence[Any]], Awaitable[None]]


class Offsets(ConsumerRebalanceListener):  # type: ignore[misc]
    """Offsets of what is applied, committed every half second, when partitions leave and at the end."""

    def __init__(self, rebalance_seconds: float) -> None:
        self.consumer: AIOKafkaConsumer | None = None
        self.handling = asyncio.Lock()
        self._revoked_within = _REVOKED_WITHIN * rebalance_seconds
        self.placed = False
        """Whether the group has given this member its partitions."""
        self._applied: dict[TopicPartition, int] = {}

    def applied(self, records: Sequence[Any]) -> None:
        """Everything up to these records is done."""
        for record in records:
            self._applied[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def commit(self) -> None:
        """Write the offsets that moved; after a failure they are written later, or their records come again.

        Those of a partition that has moved away are its new owner's to write.
        """
        consumer = self.consumer
        if not self._applied or consumer is None:
            return
        applied, self._applied = self._applied, {}
        assigned = consumer.assignment()
        mine = {place: offset for place, offset in applied.items() if place in assigned}
        if not mine:
            return
        try:
            if failpoints.armed is not None:
                await failpoints.armed.reach("offsets.before")
            async with asyncio.timeout(_COMMIT_WITHIN):
                await consumer.commit(mine)
            if failpoints.armed is not None:
                await failpoints.armed.reach("offsets.after")
        except (KafkaError, TimeoutError) as error:
            log.warning("offsets_not_committed", error=repr(error))
            self._applied = {**mine, **self._applied}

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Let the batch in hand finish, for a while, and commit: the next owner repeats less."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._revoked_within):
                await self.handling.acquire()
            self.handling.release()
        await self.commit()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing to prepare: positions stand in the rows."""
        self.placed = True


class Subscription:
    """One FastStream subscriber and the watch over it."""

    def __init__(self, broker: KafkaBroker, apply: Apply, stopping: asyncio.Event, **options: Any) -> None:
        rebalance_seconds = options.pop("rebalance_seconds", 15.0)
        self.offsets = Offsets(rebalance_seconds)
        self._apply = apply
        self._stopping = stopping
        self._ending = False
        self._trying_since: float | None = None
        self._oldest: int | None = None
        self._worst = 0.0
        self._batch_bytes = options.pop("batch_bytes")
        self._fixed = "topics" in options
        self.broken: BaseException | None = None
        """Why this subscription can apply nothing more."""
        self._subscriber = broker.subscriber(
            *options.pop("topics", ()),
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            auto_offset_reset="earliest",
            isolation_level="read_committed",  # a client may send in transactions, and abort them
            partition_assignment_strategy=(RangePartitionAssignor,),
            batch_timeout_ms=IDLE_MS,
            fetch_max_wait_ms=IDLE_MS,
            consumer_timeout_ms=IDLE_MS,
            session_timeout_ms=20_000,
            heartbeat_interval_ms=round(min(3.0, rebalance_seconds / 3) * 1000),
            rebalance_timeout_ms=round(rebalance_seconds * 1000),
            max_poll_interval_ms=300_000,
            fetch_max_bytes=self._batch_bytes,
            listener=self.offsets,
            parser=self._bare,
            decoder=_whole,
            **options,
        )
        self._subscriber(self._handle)

    async def _bare(self, message: Any, original: Any) -> KafkaAckableMessage:
        """A parser that touches nothing: no header of a record can hurt, and nothing is paid per record."""
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=message, consumer=self._subscriber.consumer, message_id="",
            correlation_id="-",
        )  # fmt: skip

    async def _handle(self, batch: Any) -> None:
        async with self.offsets.handling:
            self.offsets.consumer = self._subscriber.consumer
            self._oldest = oldest_of(batch)
            for records in in_pieces(batch, self._batch_bytes):
                if not await self._done(records):
                    return
                self.offsets.applied(records)
            self._worst, self._oldest = self._lag(), None

    async def _done(self, records: Sequence[Any]) -> bool:
        """Apply records, however long it takes; False when the process ends first, and nothing of them may pass."""
        pause, defects = _FIRST_PAUSE, 0
        while not (self._stopping.is_set() or self._ending or self.broken):
            self._trying_since = time.monotonic()
            try:
                await self._apply(records)
                return True
            except (Unavailable, UnknownOutcome, *AWAY) as error:
                log.warning("batch_repeated", records=len(records), error=str(error))
            except Exception as error:
                defects += 1
                log.exception("batch_failed", records=len(records), times=defects)
                if defects == _DEFECTS:
                    self.broken = error
            finally:
                self._trying_since = None
            await asyncio.sleep(jitter(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return False

    @property
    def quiet_for(self) -> float:
        """Seconds since the last good poll; 0 while a batch is in hand, since nobody polls then."""
        consumer = self._subscriber.consumer
        return 0.0 if consumer is None or self.offsets.handling.locked() else time.monotonic() - consumer.last_ok

    @property
    def unheard_for(self) -> float:
        """Seconds since the last good poll, or since a broker's last answer, whichever is longer.

        A poll of a broker that is away finds nothing, and is a good one until the session is over. A member of a group
        asks all the time; what has not joined yet, for want of topics, does not.
        """
        consumer = self._subscriber.consumer
        if consumer is None or not (self._fixed and self.offsets.placed):
            return self.quiet_for
        unanswered: float = time.monotonic() - consumer.answered_at
        return max(self.quiet_for, unanswered)

    @property
    def hears_facts(self) -> bool:
        """Whether it reads what services tell, whose times can be trusted, and not what clients send."""
        return self._fixed

    def lag(self) -> float:
        """Age of the oldest record in hand, or applied since this was asked last; 0 when there was none."""
        lag, self._worst = self._lag(), 0.0
        return lag

    def _lag(self) -> float:
        return max(self._worst, 0.0 if self._oldest is None else age_of(self._oldest))

    @property
    def deaf(self) -> bool:
        """Whether this consumer hears nothing, and will not by itself."""
        consumer = self._subscriber.consumer
        failing = 0.0 if consumer is None or self.offsets.handling.locked() else consumer.failing_for
        return self.quiet_for > QUIET_TOO_LONG or failing > _FAILING_TOO_LONG

    @property
    def trying_for(self) -> float:
        """Seconds that one try to apply a batch has taken."""
        return 0.0 if self._trying_since is None else time.monotonic() - self._trying_since

    @property
    def polled(self) -> bool:
        """Whether this consumer has ever been polled with success, with its partitions where they are fixed."""
        consumer = self._subscriber.consumer
        return consumer is not None and bool(consumer.polled) and (self.offsets.placed or not self._fixed)

    async def silent(self) -> str | None:
        """None when this consumer is polled and a broker answers it, else what is wrong."""
        consumer = self._subscriber.consumer
        if consumer is None or not self.polled:
            return "not polled yet"
        if self.quiet_for > QUIET_TOO_LONG:
            return f"the last good poll was {self.quiet_for:.0f} s ago"
        found: str | None = await consumer.silent()
        return found

    async def restart(self) -> None:
        """Stop and start the consumer: a heartbeat that died leaves it deaf for ever otherwise."""
        await self._subscriber.stop()
        await self._subscriber.start()

    async def finish(self) -> None:
        """Take no new batch, let the one in hand be applied, commit."""
        self._ending = True
        async with self.offsets.handling:
            await self.offsets.commit()


async def _whole(message: Any, original: Any) -> Any:
    """A decoder that leaves the records as they are."""
    return message.raw_message


def oldest_of(records: Sequence[Any]) -> int | None:
    """When the oldest of these was recorded (ms), those aside that are sent again because somebody asked."""
    return min((record.timestamp for record in records if not record.topic.endswith(RESENT)), default=None)


def age_of(recorded: int) -> float:
    """Seconds since something was recorded (ms), by the clock that it was recorded by: the database's."""
    return skew.database_time().timestamp() - recorded / 1000


def in_pieces(records: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """A batch in its order, cut so that no piece holds more bytes than `most`; a record alone may."""
    first, size = 0, 0
    for n, record in enumerate(records):
        size += len(record.value or b"")
        if size > most and n > first:
            yield records[first:n]
            first, size = n, len(record.value or b"")
    if first < len(records):
        yield records[first:]


async def watch(subscription: Subscription, restarted: dict[Subscription, float]) -> None:
    """Restart a consumer that hears nothing, once; raises RuntimeError when only a new process can help."""
    if subscription.broken is not None:
        raise RuntimeError("a batch cannot be applied") from subscription.broken
    if subscription.trying_for > _HANDLING_TOO_LONG:
        raise RuntimeError(f"a batch has been tried for {subscription.trying_for:.0f} s")
    if not subscription.deaf:
        return
    if time.monotonic() - restarted.get(subscription, -math.inf) < 4 * QUIET_TOO_LONG:
        raise RuntimeError("a consumer stays deaf after its restart")
    log.error("consumer_restarted", quiet_seconds=round(subscription.quiet_for))
    restarted[subscription] = time.monotonic()
    await subscription.restart()
