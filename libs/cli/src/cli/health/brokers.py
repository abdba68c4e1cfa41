"""Kafka: topics as the contract wants them, and how far each service's groups are behind."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from chassis import naming
from chassis.clock import utc_now
from chassis.topics import Change, Topics
from cli.health.finding import OK, WATCH, WRONG, Finding
from contracts.registry import SERVICES

LAG_WATCH = 1_000
"""Records behind that are more than what is just on its way."""
LAG_SECONDS = 30
"""Age of a record that is not just on its way any more."""
_LOOK_SECONDS = 3.0


async def look(prefix: str, partitions: int, options: Mapping[str, Any]) -> list[Finding]:
    """Everything about the broker's topics and groups."""
    changes = await Topics(prefix, partitions, **options).plan()
    return [*topics(changes), *await lags(prefix, options)]


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


async def lags(prefix: str, options: Mapping[str, Any]) -> list[Finding]:
    """How far each group of each service is behind."""
    admin = AIOKafkaAdminClient(**options)
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **options)
    await admin.start()
    await consumer.start()
    try:
        topics = await consumer.topics()
        found = []
        for service in SERVICES:
            commands = naming.topic(prefix, f"{service}.commands.")
            group = naming.group(prefix, service)
            for name, known in ((group, ()), (f"{group}.commands", [t for t in topics if t.startswith(commands)])):
                found.append(lag(service, name, *await _behind(admin, consumer, name, known)))
        return found
    finally:
        await consumer.stop()
        await admin.close()


async def _behind(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str, known: Iterable[str]
) -> tuple[int | None, float]:
    """(records that a group has not applied, None when it has nothing to apply; seconds since the oldest of them)."""
    try:
        committed = {at: int(each.offset) for at, each in (await admin.list_consumer_group_offsets(group)).items()}
    except GroupCoordinatorNotAvailableError:  # no group was ever here
        committed = {}
    topics = {at.topic for at in committed} | set(known)
    if not topics:
        return None, 0.0
    described = await admin.describe_topics(sorted(topics))
    partitions = [TopicPartition(one["topic"], each["partition"]) for one in described for each in one["partitions"]]
    first = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    places = {at: max(committed.get(at, 0), first[at]) for at in partitions}
    late = {at: place for at, place in places.items() if ends[at] > place}
    return sum(ends[at] - place for at, place in late.items()), await _oldest(consumer, late)


async def _oldest(consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, int]) -> float:
    """Seconds since the oldest of the records at these places was written."""
    oldest = now = utc_now().timestamp()
    if places:
        consumer.assign(list(places))
        for at, place in places.items():
            consumer.seek(at, place)
        deadline = time.monotonic() + _LOOK_SECONDS
        missing = set(places)
        while missing and time.monotonic() < deadline:
            for at, records in (await consumer.getmany(timeout_ms=200)).items():
                if at in missing:
                    oldest = min(oldest, records[0].timestamp / 1000)
                    missing.discard(at)
                    consumer.pause(at)
    return now - oldest


def lag(service: str, group: str, behind: int | None, seconds: float) -> Finding:
    """How many records a group has not applied yet, and for how long."""
    if behind is None:
        return Finding(service, f"group {group}", OK, "has nothing to read yet")
    said = f"{behind} record(s) behind" + (f", the oldest since {seconds:.0f} s" if seconds > LAG_SECONDS else "")
    if behind <= LAG_WATCH and seconds <= LAG_SECONDS:
        return Finding(service, f"group {group}", OK, said)
    do = f"is `python -m {service} --role worker` up, and what does its log say? Start more, at most one a partition"
    return Finding(service, f"group {group}", WATCH, said, do)
