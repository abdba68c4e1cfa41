"""Kafka: topics as the contract wants them, and how far each service's groups are behind."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis import naming
from chassis.topics import Change, Topics
from cli.health.finding import OK, WATCH, WRONG, Finding
from contracts.registry import SERVICES

LAG_WATCH = 1_000
"""Records behind that are more than what is just on its way."""


async def look(prefix: str, partitions: int, options: Mapping[str, Any]) -> list[Finding]:
    """Everything about the broker's topics and groups."""
    changes = await Topics(prefix, partitions, **options).plan()
    return [*topics(changes), *await _lags(prefix, options)]


def topics(changes: Iterable[Change]) -> list[Finding]:
    """What differs between the registry and the broker."""
    found = [Finding("kafka", change.topic, *_judged(change)) for change in changes]
    return found or [Finding("kafka", "topics", OK, "as the contract wants them")]


def _judged(change: Change) -> tuple[str, str, str]:
    if change.what == "missing":
        return WRONG, "missing", "run `throughline topics apply`"
    said = f"{change.what} is {change.found}, not {change.wanted}"
    if change.what == "partitions":
        return WRONG, said, "partitions are fixed at install: set THROUGHLINE_PARTITIONS to what is there"
    return WATCH, said, "set it with Kafka's own tools; it is never changed by itself"


async def _lags(prefix: str, options: Mapping[str, Any]) -> list[Finding]:
    admin = AIOKafkaAdminClient(**options)
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **options)
    await admin.start()
    await consumer.start()
    try:
        found = []
        for service in SERVICES:
            for group in (naming.group(prefix, service), f"{naming.group(prefix, service)}.commands"):
                found.append(lag(service, group, await _behind(admin, consumer, group)))
        return found
    finally:
        await consumer.stop()
        await admin.close()


async def _behind(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str) -> int | None:
    committed = await admin.list_consumer_group_offsets(group)
    if not committed:
        return None
    ends: dict[TopicPartition, int] = await consumer.end_offsets(list(committed))
    return sum(max(0, end - int(committed[partition].offset)) for partition, end in ends.items())


def lag(service: str, group: str, behind: int | None) -> Finding:
    """How many records a group has not applied yet."""
    if behind is None:
        return Finding(service, f"group {group}", OK, "has read nothing yet")
    if behind <= LAG_WATCH:
        return Finding(service, f"group {group}", OK, f"{behind} record(s) behind")
    do = f"is `python -m {service} --role worker` up? Start more of them, at most one a partition"
    return Finding(service, f"group {group}", WATCH, f"{behind} records behind", do)
