"""FastStream around the worker: two subscribers, the offsets of what they applied, and the watch over them."""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from faststream.kafka import KafkaBroker

from chassis import naming, telemetry
from chassis.kafka import options
from chassis.subscription import Subscription, watch
from chassis.watched import Watched

if TYPE_CHECKING:
    from chassis.service import Runtime
    from chassis.stream import Worker

_TOPICS_EVERY_MS = 5_000
"""How often it is looked whether there are other topics: a new client's commands wait for that once."""
_PARTITIONS_EVERY_MS = 30_000
"""How often it is looked whether the topics of facts have more partitions."""
_COMMANDS = ".commands"
_COMMANDS_HELD_BACK_MS = 500
_COMMIT_EVERY = 0.5
_COMMANDS_WITHIN = 2.4
"""Seconds that the commands' group waits for a member in a rebalance: so long a crashed one holds its successor up."""


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
    subscriptions = _subscriptions(runtime, worker, broker)
    await broker.connect()
    config = broker.config.broker_config
    keywords = config.builder.keywords  # type: ignore[attr-defined]
    watched = {**keywords, **options(runtime.settings)}
    config.builder = partial(_consumer, **watched)
    runtime.health.ready_when("kafka", lambda: _silent(subscriptions))
    try:
        await broker.start()
        await _until_stopped(subscriptions, runtime.stopping)
    finally:
        for subscription in subscriptions:
            await subscription.finish()
        await broker.stop()


def _consumer(**options: Any) -> Watched:
    """One that looks often for other topics only where those come with clients: an answer names all partitions."""
    often = str(options["group_id"]).endswith(_COMMANDS)
    if often:  # before it joins anew it asks for topics, behind what is held back, and has little time for that
        options["fetch_max_wait_ms"] = _COMMANDS_HELD_BACK_MS
    return Watched(**{**options, "metadata_max_age_ms": _TOPICS_EVERY_MS if often else _PARTITIONS_EVERY_MS})


def _subscriptions(runtime: "Runtime", worker: "Worker", broker: KafkaBroker) -> list[Subscription]:
    """One for facts and documents, whose topics are fixed, and one for commands, whose topics come with clients."""
    stopping = runtime.stopping
    batch = {"max_records": runtime.settings.batch_records, "batch_bytes": runtime.settings.batch_bytes}
    group = naming.group(runtime.prefix, runtime.name)
    subscriptions = []
    if worker.ear.topics:
        named = {"group_id": group, "group_instance_id": _member(runtime.settings.instance, worker.ear.topics)}
        subscriptions.append(Subscription(broker, worker.apply, stopping, topics=worker.ear.topics, **named, **batch))
    pattern = naming.topic(runtime.prefix, f"{runtime.name}.commands.").replace(".", r"\.") + r"[a-z0-9-]+$"
    quick = {"group_id": f"{group}{_COMMANDS}", "rebalance_seconds": _COMMANDS_WITHIN}
    subscriptions.append(Subscription(broker, worker.command, stopping, pattern=pattern, **quick, **batch))
    return subscriptions


def _member(instance: str, topics: Sequence[str]) -> str | None:
    """A name in the group that stays over restarts, as long as the topics are the same.

    A member that comes back under its name is given what it had, whatever it subscribes to now: under the old name a
    release that hears one topic more would never hear it. For that reason the commands, whose topics come and go, have
    no such name, and a short rebalance instead.
    """
    return f"{instance}-{blake2b(' '.join(sorted(topics)).encode(), digest_size=6).hexdigest()}" if instance else None


async def _silent(subscriptions: Sequence[Subscription]) -> str | None:
    found = await asyncio.gather(*(subscription.silent() for subscription in subscriptions))
    return next((why for why in found if why is not None), None)


async def _until_stopped(subscriptions: Sequence[Subscription], stopping: asyncio.Event) -> None:
    """Commit offsets and watch: a consumer that hears nothing is restarted once, then the process ends."""
    restarted: dict[Subscription, float] = {}
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _COMMIT_EVERY)
        telemetry.STREAM_LAST_POLL_SECONDS.set(max(each.unheard_for for each in subscriptions))
        telemetry.STREAM_LAG_SECONDS.set(max((each.lag() for each in subscriptions if each.hears_facts), default=0.0))
        for subscription in subscriptions:
            await subscription.offsets.commit()
            await watch(subscription, restarted)
