"""Faults that operators cause: everything delivered once more, a table locked, workers scaled out and in."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError

from chassis import naming
from cli.running.services import Process
from testkit.chaos.faults import Fault, child_of, ready
from testkit.chaos.site import Site
from testkit.eventually import eventually

_WAITING_FOR_LOCKS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_EMPTY_WITHIN = 45.0


def another(model: Process, n: int) -> Process:
    """One more process of a kind, the n-th; the supervisor does not look after it.

    It has no name of its own in the consumer group: under the model's name it would take the model's place.
    """
    environment = {**model.environment, "THROUGHLINE_INSTANCE": ""}
    return Process(f"{model.name}-{n}", model.module, model.role, environment, model.directory)


async def members(site: Site, service: str) -> int:
    """How many workers share the facts that a service hears, as the group's coordinator sees it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=site.bootstrap)
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([naming.group(site.prefix, service)])
        return len(answer.to_object()["groups"][0]["members"])
    finally:
        await admin.close()


Count = Callable[[Site, str], Awaitable[int]]


class Rewound(Fault):
    """The offsets of a service's group set back to the beginning: every fact and document is delivered once more."""

    def __init__(self, site: Site, service: str) -> None:
        self.name = f"redeliver everything to {service}"
        self._site = site
        self._process = site.watch.processes[f"{service}-worker"]
        self._group = naming.group(site.prefix, service)

    async def strike(self) -> None:
        """The worker is away while it happens, as an operator would do it."""
        self._process.wanted = False
        try:
            await asyncio.to_thread(child_of(self._process).stop)
            before = await self._committed()
            await eventually(lambda: self._rewound(list(before)), within=_EMPTY_WITHIN, every=1.0)
            if sum(before.values()) and not sum((await self._committed()).values()):
                self.proof = f"{sum(before.values())} records come again"
        finally:
            self._site.watch.start(self._process)
            self._process.wanted = True

    async def _committed(self) -> dict[TopicPartition, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._site.bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self._group)
            return {place: at.offset for place, at in offsets.items()}
        finally:
            await admin.close()

    async def _rewound(self, places: list[TopicPartition]) -> bool:
        """Whether the group let it be done: a worker that keeps its name has its place until its session ends."""
        try:
            await self._rewind(places)
        except CommitFailedError:
            return False
        return True

    async def _rewind(self, places: list[TopicPartition]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._site.bootstrap, group_id=self._group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(places)
            await consumer.commit(dict.fromkeys(places, 0))
        finally:
            await consumer.stop()


class Locked(Fault):
    """A session that holds a table's lock, as a careless migration does; everybody else queues up behind it."""

    def __init__(self, site: Site, table: str) -> None:
        self.name = f"lock {table}"
        self._site = site
        self._table = table
        self._holder: asyncpg.Connection | None = None
        self._queued = 0
        self._counting: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        self._holder = await asyncpg.connect(self._site.admin_url)
        await self._holder.execute(f"BEGIN; LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE")
        self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        assert self._holder is not None
        while True:
            self._queued = max(self._queued, await self._holder.fetchval(_WAITING_FOR_LOCKS))
            await asyncio.sleep(0.2)

    async def heal(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)
        if self._holder is not None:
            await self._holder.close()
        if self._queued:
            self.proof = f"{self._queued} sessions waited for it at once"


class Scaled(Fault):
    """More workers of one service join, and leave again: two rebalances for each, under load."""

    def __init__(self, site: Site, service: str, workers: int, count: Count = members) -> None:
        self.name = f"scale {service} to {workers} workers and back"
        self._site = site
        self._service = service
        self._workers = workers
        self._count = count
        self._most = 0
        model = site.watch.processes[f"{service}-worker"]
        self._more = [another(model, n) for n in range(2, workers + 1)]

    async def strike(self) -> None:
        for process in self._more:
            await asyncio.to_thread(self._site.watch.start, process)
        for process in self._more:
            await ready(process)
        await eventually(self._shared, within=_EMPTY_WITHIN, every=0.5)

    async def _shared(self) -> bool:
        self._most = max(self._most, await self._count(self._site, self._service))
        return self._most == self._workers

    async def heal(self) -> None:
        for process in self._more:
            process.wanted = False
            await asyncio.to_thread(child_of(process).stop)
        statuses = [child_of(process).returncode for process in self._more]
        await eventually(lambda: all(status is not None for status in statuses), within=_EMPTY_WITHIN)
        if set(statuses) == {0} and self._most == self._workers:
            self.proof = f"{self._most} workers shared the partitions; {len(statuses)} drained to status 0"
