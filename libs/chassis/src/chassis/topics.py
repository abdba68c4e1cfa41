"""Topics at the broker: made from the contract's registry, compared with what is there, never changed in partitions."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from chassis import naming
from contracts import registry
from contracts.registry import Topic

_SEEN_WITHIN = 20.0


class WrongTopics(Exception):
    """The broker's topics do not fit this installation; the message says which and how."""


@dataclass(frozen=True)
class Change:
    """One difference between the registry and the broker."""

    topic: str
    what: str
    """`missing`, `partitions` or a setting's name."""
    wanted: str
    found: str | None = None


class Topics:
    """The topics of one installation."""

    def __init__(self, prefix: str, partitions: int, **kafka: Any) -> None:
        self._prefix = prefix
        self._partitions = partitions
        self._kafka = kafka

    def _count(self, topic: Topic) -> int:
        return topic.partitions or self._partitions

    async def plan(self, topics: Iterable[Topic] = registry.TOPICS) -> list[Change]:
        """What `apply` would do, and what it cannot do."""
        admin = await self._admin()
        try:
            return await self._compare(admin, list(topics))
        finally:
            await admin.close()

    async def apply(self, topics: Iterable[Topic] = registry.TOPICS) -> list[Change]:
        """Make what is missing, with three copies where there are three brokers.

        Raises WrongTopics when a topic has another number of partitions.
        """
        wanted = list(topics)
        admin = await self._admin()
        try:
            changes = await self._compare(admin, wanted)
            wrong = [change for change in changes if change.what == "partitions"]
            if wrong:
                lines = ", ".join(f"{change.topic} has {change.found}, not {change.wanted}" for change in wrong)
                raise WrongTopics(f"partitions are fixed for an installation's life: {lines}")
            missing = {change.topic for change in changes if change.what == "missing"}
            await self._create(admin, [topic for topic in wanted if self._name(topic) in missing])
            return changes
        finally:
            await admin.close()

    def _name(self, topic: Topic) -> str:
        return naming.topic(self._prefix, topic.name)

    async def _admin(self) -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(**self._kafka)
        try:
            await admin.start()
        except BaseException:
            await admin.close()
            raise
        return admin

    async def _create(self, admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
        if not topics:
            return
        brokers = (await admin.describe_cluster())["brokers"]
        replication = min(3, len(brokers))
        answer = await admin.create_topics(
            [
                NewTopic(self._name(topic), self._count(topic), replication, topic_configs=dict(topic.configuration))
                for topic in topics
            ]
        )
        for name, code, *rest in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise WrongTopics(f"{name} could not be made: {rest[0] if rest and rest[0] else error.__name__}")
        await _seen(admin, {self._name(topic) for topic in topics})

    async def _compare(self, admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[Change]:
        there = set(await admin.list_topics())
        changes = [Change(self._name(t), "missing", str(self._count(t))) for t in topics if self._name(t) not in there]
        present = [topic for topic in topics if self._name(topic) in there]
        if not present:
            return changes
        described = {d["topic"]: d for d in await admin.describe_topics([self._name(topic) for topic in present])}
        for topic in present:
            found = len(described[self._name(topic)]["partitions"])
            if found != self._count(topic):
                changes.append(Change(self._name(topic), "partitions", str(self._count(topic)), str(found)))
        return changes + await self._settings(admin, present)

    async def _settings(self, admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[Change]:
        resources = [ConfigResource(ConfigResourceType.TOPIC, self._name(topic)) for topic in topics]
        found: dict[str, dict[str, str]] = {}
        for answer in await admin.describe_configs(resources):
            for _code, _message, _type, name, entries in answer.resources:
                found[name] = {entry[0]: entry[1] for entry in entries}
        return [
            Change(self._name(topic), setting, wanted, found.get(self._name(topic), {}).get(setting))
            for topic in topics
            for setting, wanted in topic.configuration.items()
            if found.get(self._name(topic), {}).get(setting) != wanted
        ]


async def _seen(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Return when the broker tells of new topics, which it does a little after it has made them."""
    deadline = asyncio.get_running_loop().time() + _SEEN_WITHIN
    while not names <= set(await admin.list_topics()):
        if asyncio.get_running_loop().time() > deadline:
            raise WrongTopics(f"the broker does not show what it made within {_SEEN_WITHIN:.0f} s")
        await asyncio.sleep(0.05)
