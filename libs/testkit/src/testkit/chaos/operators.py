"""Faults that operators cause: everything delivered once more, tables locked, old snapshots held, workers scaled."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import CommitFailedError

from chassis import naming
from cli.running.services import Process
from testkit.chaos.delays import BEHIND
from testkit.chaos.faults import Fault, child_of, ready
from testkit.chaos.site import Site
from testkit.eventually import eventually

_WAITING_FOR_LOCKS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_EMPTY_WITHIN = 45.0
_TOLD = "SELECT coalesce(sum(high - coalesce(cardinality(holes), 0)), 0)::bigint FROM relay_cursor"
_HELD = (
    "SELECT backend_xmin::text::bigint FROM pg_stat_activity WHERE pid = $1 "
    "AND backend_xid::text::bigint >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
)
"""The xmin of a session in a transaction that every snapshot still counts as open."""


def another(model: Process, n: int) -> Process:
    """One more process of a kind, the n-th; the supervisor does not look after it.

    It has no name of its own in the consumer group: under the model's name it would take the model's place.
    """
    environment = {**model.environment, "THROUGHLINE_INSTANCE": ""}
    return Process(f"{model.name}-{n}", model.module, model.role, environment, model.directory)


async def shares(site: Site, service: str) -> dict[str, set[TopicPartition]]:
    """The workers that hear a service's facts and the partitions of each, as the group's coordinator sees it.

    While it shares them out anew, nobody has any.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=site.bootstrap)
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([naming.group(site.prefix, service)])
        return {each["member_id"]: _given(each) for each in answer.to_object()["groups"][0]["members"]}
    finally:
        await admin.close()


def _given(member: Mapping[str, Any]) -> set[TopicPartition]:
    given = member["member_assignment"]
    return set(ConsumerProtocolMemberAssignment.decode(given).partitions()) if given else set()


async def members(site: Site, service: str) -> int:
    """How many workers share the facts that a service hears."""
    return len(await shares(site, service))


Count = Callable[[Site, str], Awaitable[int]]
Shares = Callable[[Site, str], Awaitable[dict[str, set[TopicPartition]]]]


class Rewound(Fault):
    """The offsets of a service's groups set back to the beginning: facts, documents and commands come once more."""

    def __init__(self, site: Site, service: str) -> None:
        self.name = f"redeliver everything to {service}"
        self._site = site
        self._process = site.watch.processes[f"{service}-worker"]
        self._facts = naming.group(site.prefix, service)
        self._commands = f"{self._facts}.commands"

    async def strike(self) -> None:
        """The worker is away while it happens, as an operator would do it."""
        self._process.wanted = False
        try:
            await asyncio.to_thread(child_of(self._process).stop)
            facts, commands = [await self._rewound(group) for group in (self._facts, self._commands)]
            if facts:
                self.proof = f"{facts} records and {commands} commands come again"
        finally:
            self._site.watch.start(self._process)
            self._process.wanted = True

    async def _rewound(self, group: str) -> int:
        """How many records come again to a group; raises AssertionError when its offsets stay where they are."""
        before = await self._committed(group)
        if not sum(before.values()):
            return 0
        await eventually(partial(self._let, group, list(before)), within=_EMPTY_WITHIN, every=1.0)
        assert not sum((await self._committed(group)).values()), f"{group} is not at its beginning"
        return sum(before.values())

    async def _committed(self, group: str) -> dict[TopicPartition, int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._site.bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(group)
            return {place: at.offset for place, at in offsets.items()}
        finally:
            await admin.close()

    async def _let(self, group: str, places: list[TopicPartition]) -> bool:
        """Whether the group let it be done: a worker that keeps its name has its place until its session ends."""
        try:
            await self._rewind(group, places)
        except CommitFailedError:
            return False
        return True

    async def _rewind(self, group: str, places: list[TopicPartition]) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._site.bootstrap, group_id=group, enable_auto_commit=False)
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


class LongTransaction(Fault):
    """A session with a transaction of its own that stays open, and the snapshot that it began with.

    No snapshot's xmin passes it as long as it lasts: the relay can give up no missing number, and no dead row goes.
    """

    def __init__(self, site: Site, service: str) -> None:
        self.name = f"a long transaction on {service}"
        self._site = site
        self._service = service
        self._sessions: list[asyncpg.Connection] = []
        self._held = self._told = 0
        self._since = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def strike(self) -> None:
        self._sessions = [await self._session() for _ in range(2)]
        holder, other = self._sessions
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await holder.execute("SELECT pg_current_xact_id(), count(*) FROM relay_cursor")
        self._held, self._told = await self._xmin(), await other.fetchval(_TOLD)
        self._since = time.monotonic()
        self._looking = asyncio.create_task(self._look())

    async def _session(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._site.admin_url, server_settings={"search_path": self._service})

    async def _xmin(self) -> int:
        """What the holder holds back; 0 when the snapshots of others have passed it."""
        holder, other = self._sessions
        return int(await other.fetchval(_HELD, holder.get_server_pid()) or 0)

    async def _look(self) -> None:
        while True:
            self.oldest_unsent = max(self.oldest_unsent or 0.0, await self._sessions[1].fetchval(BEHIND))
            await asyncio.sleep(0.5)

    async def heal(self) -> None:
        """It must have held the same all the while, and facts must have gone out."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            held, told = await self._xmin(), await self._sessions[1].fetchval(_TOLD) - self._told
            lasted = time.monotonic() - self._since
            if held and held == self._held and told:
                worst = self.oldest_unsent or 0.0
                self.proof = f"xmin {held} held for {lasted:.0f} s; {told} facts went out, {worst:.1f} s old at worst"
        for session in self._sessions:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await session.close()


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
