"""Kafka to the decider: FastStream wrapped once. Effects and positions are one statement; offsets only follow.

A batch is never abandoned and never cancelled: it is retried with back-off until it is applied, or the process ends.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from chassis import deadletters, inbound, naming, resend, waiting
from chassis.asked import Asked, Outcome, Turned, UnknownOutcome
from chassis.database import AWAY, Unavailable
from chassis.deadletters import Letter
from chassis.decision import Actor
from chassis.documents import Entry
from chassis.hearing import Dead, Ear, Meta, Stream
from chassis.ids import jitter
from chassis.kafka import options

if TYPE_CHECKING:
    from chassis.service import Runtime

__all__ = ["Meta", "Stream", "revive", "run"]

log = structlog.get_logger(__name__)

_COMMIT_EVERY = 0.5
_QUIET_TOO_LONG = 30.0
_HANDLING_TOO_LONG = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0

Apply = Callable[[Sequence[Any]], Awaitable[None]]


class Watched(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer that knows when it was last polled with success: nothing else tells a dead one from an idle one."""

    last_ok = 0.0

    async def getmany(self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        self.last_ok = time.monotonic()
        return found


class Offsets(ConsumerRebalanceListener):  # type: ignore[misc]
    """Offsets of what is applied, committed every half second, when partitions leave and at the end."""

    def __init__(self) -> None:
        self.consumer: AIOKafkaConsumer | None = None
        self.handling = asyncio.Lock()
        self._applied: dict[TopicPartition, int] = {}

    def applied(self, records: Sequence[Any]) -> None:
        """Everything up to these records is done."""
        for record in records:
            self._applied[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def commit(self) -> None:
        """Write the offsets that moved; a failure only means that they are written later or records come again."""
        applied, self._applied = self._applied, {}
        if not applied or self.consumer is None:
            return
        mine = self.consumer.assignment()
        with contextlib.suppress(KafkaError):
            await self.consumer.commit({place: offset for place, offset in applied.items() if place in mine})

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Let the batch in hand finish, for a while, and commit: the next owner repeats less."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10.0):
                await self.handling.acquire()
            self.handling.release()
        await self.commit()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing to prepare: positions stand in the rows."""


class Subscription:
    """One FastStream subscriber and the watch over it."""

    def __init__(self, broker: KafkaBroker, apply: Apply, stopping: asyncio.Event, **options: Any) -> None:
        self.offsets = Offsets()
        self._apply = apply
        self._stopping = stopping
        self._handling_since: float | None = None
        self._subscriber = broker.subscriber(
            *options.pop("topics", ()),
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            batch_timeout_ms=20,
            fetch_max_wait_ms=100,
            session_timeout_ms=20_000,
            heartbeat_interval_ms=3_000,
            rebalance_timeout_ms=15_000,
            max_poll_interval_ms=300_000,
            listener=self.offsets,
            parser=self._bare,
            **options,
        )
        self._subscriber(self._handle)

    async def _bare(self, message: Any, original: Any) -> KafkaAckableMessage:
        """A parser that touches nothing: no header of a record can hurt, and nothing is paid per record."""
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=message, consumer=self._subscriber.consumer, message_id="",
            correlation_id="-",
        )  # fmt: skip

    async def _handle(self, message: Any) -> None:
        records = message.raw_message
        async with self.offsets.handling:
            self.offsets.consumer = self._subscriber.consumer
            self._handling_since = time.monotonic()
            try:
                pause = _FIRST_PAUSE
                while not self._stopping.is_set():
                    try:
                        await self._apply(records)
                    except (Unavailable, UnknownOutcome, *AWAY) as error:
                        log.warning("batch_repeated", records=len(records), error=str(error))
                        await asyncio.sleep(jitter(pause))
                        pause = min(pause * 2, _LONGEST_PAUSE)
                        continue
                    self.offsets.applied(records)
                    return
            finally:
                self._handling_since = None

    @property
    def quiet_for(self) -> float:
        """Seconds since the last good poll; while a batch is in hand, seconds beyond what a batch may take."""
        if self._handling_since is not None:
            return time.monotonic() - self._handling_since - _HANDLING_TOO_LONG + _QUIET_TOO_LONG
        consumer = self._subscriber.consumer
        return time.monotonic() - consumer.last_ok if consumer is not None and consumer.last_ok else 0.0

    @property
    def assigned(self) -> bool:
        """Whether the group has given this consumer its share."""
        consumer = self._subscriber.consumer
        return consumer is not None and bool(consumer.last_ok)

    async def restart(self) -> None:
        """Stop and start the consumer: a heartbeat that died leaves it deaf for ever otherwise."""
        await self._subscriber.stop()
        await self._subscriber.start()


class Worker:
    """Applies what a service hears, and what its clients command."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._partitions = runtime.settings.partitions
        self.ear = ear_of(runtime)

    async def apply(self, records: Sequence[Any]) -> None:
        """Decode and apply one batch: documents first, since facts may need them."""
        asked: list[Asked] = []
        entries: list[Entry] = []
        letters: list[Letter] = []
        for record in records:
            found = self.ear.decode(record)
            if isinstance(found, Asked):
                asked.append(found)
            elif isinstance(found, Dead):
                letters.append(self._letter(found, record))
            elif found is not None:
                entries.append(found)
        runtime = self._runtime
        if entries:
            await runtime.documents.store(entries)
        if letters:
            await deadletters.keep(runtime.database, runtime.name, self._partitions, letters)
        if asked:
            stream = runtime.service.stream
            assert stream is not None
            outcomes = await runtime.deciders[stream.into.name].handle_batch(asked)
            await self.ask_for_gaps(outcomes)

    def _letter(self, dead: Dead, record: Any) -> Letter:
        log.warning("dead_letter", reason=dead.reason, topic=record.topic, offset=record.offset)
        return Letter(dead, naming.plain(self._runtime.prefix, record.topic), record)

    async def ask_for_gaps(self, outcomes: Sequence[Outcome]) -> None:
        """Ask for what is missing, one ask a request and stream."""
        gaps = {(outcome.subject, outcome.gap[0]): outcome.gap[1] for outcome in outcomes if outcome.gap is not None}
        for (subject, stream), after in gaps.items():
            await resend.ask(self._runtime.database, self._runtime.name, self._partitions, subject, stream, after)

    async def command(self, records: Sequence[Any]) -> None:
        """Decide a batch of clients' commands, aggregate by aggregate; the answers go out with the facts."""
        by_decider: dict[str, list[Asked]] = {}
        letters: list[Letter] = []
        for record in records:
            client = record.topic.rpartition(".commands.")[2]
            registered = await self._runtime.clients.get(client)
            commands = self._runtime.service.commands
            found = inbound.inbound(commands, client, registered, record.headers, record.key, record.value)
            if isinstance(found, inbound.DeadCommand):
                letters.append(self._letter(Dead(found.reason, found.detail), record))
            elif isinstance(found, inbound.RefusedCommand):
                first = self._runtime.service.aggregates[0].name
                by_decider.setdefault(first, []).append(_turned(found))
            else:
                found.asked.origin = {
                    "topic": naming.plain(self._runtime.prefix, record.topic),
                    "partition": record.partition,
                    "offset": record.offset,
                    "key": record.key,
                }
                by_decider.setdefault(found.declared.into.name, []).append(found.asked)
        if letters:
            await deadletters.keep(self._runtime.database, self._runtime.name, self._partitions, letters)
        for name, asked in by_decider.items():
            await self._runtime.deciders[name].handle_batch(asked)


def _turned(refused: inbound.RefusedCommand) -> Asked:
    return Asked(
        subject=refused.subject or refused.command_id,
        message=Turned(refused.refused),
        id=refused.command_id,
        actor=Actor("client"),
        correlation_id=refused.correlation_id,
        traceparent=refused.traceparent,
        reply_to=refused.client,
    )


def ear_of(runtime: "Runtime") -> Ear:
    """The decoder of everything that a service hears."""
    kinds = {reference.kind: reference.document for reference in runtime.service.references}
    heard = {kind: document for kind, document in kinds.items() if document.service != runtime.name}
    return Ear(runtime.name, runtime.prefix, runtime.service.stream, heard)


def revive(runtime: "Runtime", row: Any) -> Asked:
    """A waiting fact, decoded anew."""
    return ear_of(runtime).revive(row, waiting.envelope(row), waiting.headers(row))


async def run(runtime: "Runtime") -> None:
    """The role `worker`: apply what is heard until the process drains. Raises KafkaError while Kafka is away."""
    worker = Worker(runtime)
    broker = KafkaBroker(
        runtime.settings.kafka_bootstrap.split(","),
        consumer_only=True,
        allow_auto_create_topics=False,
        graceful_timeout=None,
        logger=None,
    )
    stopping = runtime.stopping
    batch = {"max_records": runtime.settings.batch_records}
    group = naming.group(runtime.prefix, runtime.name)
    subscriptions = []
    if worker.ear.topics:
        subscriptions.append(
            Subscription(broker, worker.apply, stopping, topics=worker.ear.topics, group_id=group, **batch)
        )
    pattern = naming.topic(runtime.prefix, f"{runtime.name}.commands.").replace(".", r"\.") + r"[a-z0-9-]+"
    subscriptions.append(
        Subscription(broker, worker.command, stopping, pattern=pattern, group_id=f"{group}.commands", **batch)
    )
    await broker.connect()
    config = broker.config.broker_config
    keywords = config.builder.keywords  # type: ignore[attr-defined]
    watched = {**keywords, **options(runtime.settings), "metadata_max_age_ms": 10_000}
    config.builder = partial(Watched, **watched)
    try:
        await broker.start()
        runtime.health.ready_when("kafka", lambda: _deaf(subscriptions))
        await _until_stopped(subscriptions, stopping)
    finally:
        for subscription in subscriptions:
            await subscription.offsets.on_partitions_revoked(())
        await broker.stop()


async def _deaf(subscriptions: Sequence[Subscription]) -> str | None:
    if not all(subscription.assigned for subscription in subscriptions):
        return "no partitions were assigned yet"
    quiet = max(subscription.quiet_for for subscription in subscriptions)
    return f"the last good poll was {quiet:.0f} s ago" if quiet > _QUIET_TOO_LONG else None


async def _until_stopped(subscriptions: Sequence[Subscription], stopping: asyncio.Event) -> None:
    """Commit offsets and watch: a consumer that hears nothing is restarted once, then the process ends."""
    restarted: dict[Subscription, float] = {}
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _COMMIT_EVERY)
        for subscription in subscriptions:
            await subscription.offsets.commit()
            if subscription.quiet_for <= _QUIET_TOO_LONG:
                continue
            if time.monotonic() - restarted.get(subscription, 0.0) < 120.0:
                raise RuntimeError("a consumer stays deaf after its restart")
            log.error("consumer_restarted", quiet_seconds=round(subscription.quiet_for))
            restarted[subscription] = time.monotonic()
            await subscription.restart()
