"""FastStream around the worker: two subscribers, the offsets of what they applied, and the watch over them."""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from faststream.kafka import KafkaBroker

from chassis import naming, telemetry
from chassis.kafka import options
from chassis.subscription import Subscription, Watched, watch

if TYPE_CHECKING:
    from chassis.service import Runtime
    from chassis.stream import Worker

_COMMIT_EVERY = 0.5


async def run(runtime: "Runtime", worker: "Worker") -> None:
    """Subscribe, let `worker` apply what comes, until the process drains. Raises KafkaError while Kafka is away."""
    broker = KafkaBroker(
        runtime.settings.kafka_bootstrap.split(","),
        consumer_only=True,
        allow_auto_create_topics=False,
        apply_types=False,
        graceful_timeout=None,
        logger=None,
    )
    stopping = runtime.stopping
    batch = {"max_records": runtime.settings.batch_records, "batch_bytes": runtime.settings.batch_bytes}
    group = naming.group(runtime.prefix, runtime.name)
    subscriptions = []
    if worker.ear.topics:
        subscriptions.append(
            Subscription(broker, worker.apply, stopping, topics=worker.ear.topics, group_id=group, **batch)
        )
    pattern = naming.topic(runtime.prefix, f"{runtime.name}.commands.").replace(".", r"\.") + r"[a-z0-9-]+$"
    subscriptions.append(
        Subscription(broker, worker.command, stopping, pattern=pattern, group_id=f"{group}.commands", **batch)
    )
    await broker.connect()
    config = broker.config.broker_config
    keywords = config.builder.keywords  # type: ignore[attr-defined]
    watched = {**keywords, **options(runtime.settings), "metadata_max_age_ms": 10_000}
    config.builder = partial(Watched, **watched)
    runtime.health.ready_when("kafka", lambda: _silent(subscriptions))
    try:
        await broker.start()
        await _until_stopped(subscriptions, stopping)
    finally:
        for subscription in subscriptions:
            await subscription.finish()
        await broker.stop()


async def _silent(subscriptions: Sequence[Subscription]) -> str | None:
    for subscription in subscriptions:
        if (why := await subscription.silent()) is not None:
            return why
    return None


async def _until_stopped(subscriptions: Sequence[Subscription], stopping: asyncio.Event) -> None:
    """Commit offsets and watch: a consumer that hears nothing is restarted once, then the process ends."""
    restarted: dict[Subscription, float] = {}
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _COMMIT_EVERY)
        telemetry.STREAM_LAST_POLL_SECONDS.set(max(subscription.quiet_for for subscription in subscriptions))
        for subscription in subscriptions:
            await subscription.offsets.commit()
            await watch(subscription, restarted)
