"""A whole installation for measuring: embedded servers, each role of each service a process of its own."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench import profiling
from bench.load import Plan
from chassis.ids import new_id
from chassis.provision import Provided
from cli.demo import organisation as sample
from cli.demo import setting_up
from cli.door import Doors, Refused
from cli.running import directory as places
from cli.running.forked import Forked
from cli.running.installation import PARTITIONS, Installation, Say, settings_of
from cli.running.services import Process

EVERYTHING: dict[str, tuple[str, ...]] = {
    "intake": ("api", "worker", "relay", "timers"),
    "workflow": ("api", "worker", "relay", "timers"),
    "approvals": ("worker", "relay", "timers"),
    "billing": ("worker", "relay", "timers"),
    "notifications": ("worker", "relay", "timers"),
}
"""Every process that an accepted request passes. Nobody calls the other doors here, and no mail is sent."""
QUEUE = "outage"
CONTACTS = sample.CONTACTS[:20]
DONE_WITHIN = 120.0
_AT_ONCE = 4
_DOORS = ("api", "all")
"""Roles that answer over HTTP."""
_WARM_RECORDS = 40_000


class Site(Installation):
    """An installation in roles apart; processes are called `<service>-<role>`, a door just `<service>`."""

    def __init__(self, home: Path, roles: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(home, temporary=True)
        self._roles = roles
        self._later: list[Process] = []

    def _start_services(self, provided: list[Provided]) -> None:
        """Doors first; the other roles follow a few at a time, so that each is ready in time."""
        common = self._common_settings()
        for one in provided:
            for role in self._roles.get(one.service, ()):
                name = one.service if role in _DOORS else f"{one.service}-{role}"
                process = Process(name, one.service, role, settings_of(one, common), self.home)
                if role in _DOORS:
                    self.watch.add(process)
                else:
                    self._later.append(process)

    async def start_all(self) -> None:
        """Start everything and return when every process is ready and a request gets all the way through."""
        await self.start(lambda text: print(f"  {text}", flush=True))
        for n in range(0, len(self._later), _AT_ONCE):
            for process in self._later[n : n + _AT_ONCE]:
                self.watch.add(process)
            await self.watch.ready()
        await self._furnish()

    async def _start_postgres(self, say: Say) -> list[Provided]:
        """With the statistics of its statements where a profile is wanted."""
        provided = await super()._start_postgres(say)
        if profiling.FOLDER is not None:
            assert self.postgres is not None, "a server of one's own is not started anew"
            await self.value("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
            await self._in_thread(self.postgres.stop)
            await self._in_thread(self.postgres.start)
            await self.value("CREATE EXTENSION pg_stat_statements")
        return provided

    def running(self) -> places.Running:
        """What other commands need to know; services without a door here are left out."""
        doors = {name: process for name, process in self.watch.processes.items() if name in self._roles}
        return places.Running(
            pid=os.getpid(),
            prefix=self.prefix,
            kafka=self.bootstrap,
            database=self.admin_url,
            issuer=str(self.home / "issuer"),
            services={name: process.address for name, process in doors.items()},
        )

    async def _furnish(self) -> None:
        """Contacts and one queue, put in place through the doors."""
        await setting_up.clients(self)
        doors = Doors(self.running().services, lambda login: self.token(login, setting_up.scopes_of(login)))
        queue = next(queue for queue in sample.queues() if queue["queue"] == QUEUE)
        team = {"team_id": queue["team_id"], "name": "Service desk"}
        try:
            for path, body, method in (
                ("/teams", team, "POST"),
                (f"/queues/{QUEUE}/draft", queue, "PUT"),
                (f"/queues/{QUEUE}/publish", {}, "POST"),
            ):
                await doors.command(method, setting_up.SETUP, "workflow", path, body, key=str(new_id()))
            for one in CONTACTS:
                body = {"contact_id": str(one.id), "name": one.name, "email": one.email, "login": one.login}
                await doors.post(setting_up.SETUP, "intake", "/contacts", body, key=str(new_id()))
            await self._accepted(doors)
        finally:
            await doors.close()

    async def _accepted(self, doors: Doors) -> None:
        """Return once intake has heard of the queue and takes a request for it."""
        deadline = time.monotonic() + DONE_WITHIN
        while True:
            try:
                await doors.post(CONTACTS[0].login, "intake", "/requests", submission(0), key=str(new_id()))
                return
            except Refused as refused:
                if time.monotonic() > deadline:
                    raise
                print(f"  waiting: {refused.slug}", flush=True)
            await asyncio.sleep(0.5)

    # -- while it is measured ------------------------------------------------------------------------------------

    async def halt(self, *names: str) -> None:
        """End processes in good order; they stay down."""
        for name in names:
            self.watch.processes[name].wanted = False
        await asyncio.gather(*(asyncio.to_thread(self._child(name).stop) for name in names))

    def begin(self, name: str) -> None:
        """Start a process again that was halted."""
        process = self.watch.processes[name]
        self.watch.start(process)
        process.wanted = True

    async def resume(self, *names: str) -> None:
        """Start processes again and return when they are ready."""
        for name in names:
            self.begin(name)
            await until(self.watch.processes[name].ready)

    def pids(self) -> dict[str, int]:
        """Every process that runs, the servers among them, by name."""
        found = {
            name: process.child.pid
            for name, process in self.watch.processes.items()
            if process.wanted and process.child is not None
        }
        for name, server in (("postgresql", self.postgres), ("kafka", self.kafka)):
            if server is not None and server.pid is not None:
                found[name] = server.pid
        return found

    def plan(self, seconds: float, **more: Any) -> Plan:
        """A plan that submits for every contact in turn."""
        return Plan(
            *self._door("intake"),
            "/intake/v1/requests",
            bodies=[json.dumps(submission(n)) for n in range(len(CONTACTS))],
            tokens=[self.token(one.login, setting_up.CONTACT_SCOPES) for one in CONTACTS],
            keys=new_id().hex,
            seconds=seconds,
            **more,
        )

    def reading(self, service: str, path: str, token: str, seconds: float, connections: int) -> Plan:
        """A plan that reads one path over and over."""
        return Plan(*self._door(service), path, [""], [token], "", seconds, connections, method="GET")

    def _door(self, service: str) -> tuple[str, int]:
        address = urlsplit(self.watch.processes[service].address)
        assert address.hostname is not None
        assert address.port is not None
        return address.hostname, address.port

    async def committed(self) -> dict[TopicPartition, int]:
        """How far every consumer group has come, by partition: the least of them."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        found: dict[TopicPartition, int] = {}
        try:
            for group, _ in await admin.list_consumer_groups():
                for partition, at in (await admin.list_consumer_group_offsets(group)).items():
                    found[partition] = min(at.offset, found.get(partition, at.offset))
        finally:
            await admin.close()
        return found

    async def count(self, table: str) -> int:
        """Rows of `schema.table`."""
        return int(await self.value(f"SELECT count(*) FROM {table}"))

    async def value(self, query: str, *arguments: Any) -> Any:
        """One value, as an administrator."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetchval(query, *arguments, timeout=300)
        finally:
            await connection.close()

    async def forget_statements(self) -> None:
        """Count statements from here on, where a profile is wanted."""
        if profiling.FOLDER is not None:
            await self.value("SELECT pg_stat_statements_reset()")

    async def statements(self) -> list[dict[str, Any]]:
        """The statements that took longest, as PostgreSQL counts them."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return [dict(row) for row in await connection.fetch(profiling.STATEMENTS)]
        finally:
            await connection.close()

    def _child(self, name: str) -> Forked:
        child = self.watch.processes[name].child
        assert child is not None
        return child


def submission(n: int) -> dict[str, Any]:
    """A request of usual size (some 800 bytes) of the n-th contact."""
    return {
        "contact_id": str(CONTACTS[n].id),
        "queue": QUEUE,
        "summary": "Card charged twice for invoice INV-2026-004711",
        "description": "On Friday the card was charged twice for the same invoice. The first charge is correct, "
        "the second one must be returned. On Friday the card was charged twice for the same invoice. "
        "The first charge is correct, the second one must be returned.",
        "impact": "medium",
        "urgency": "high",
        "category": "payments",
        "custom": {
            "invoice": "INV-2026-004711",
            "card_last4": "4242",
            "merchant": "Northwind Ltd",
            "amount": "149.90",
            "currency": "EUR",
            "charged_on": "2026-11-20",
            "attempts": 2,
            "refund_requested": True,
        },
    }


@asynccontextmanager
async def site(roles: Mapping[str, tuple[str, ...]] = EVERYTHING) -> AsyncIterator[Site]:
    """An installation that is up, furnished and warm; gone without a trace afterwards."""
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    up = Site(home, roles)
    try:
        await up.start_all()
        await warm(up.bootstrap)
        yield up
    finally:
        await up.stop()
        shutil.rmtree(home, ignore_errors=True)


async def warm(bootstrap: str) -> None:
    """Pass records through the broker and back: a young JVM is several times slower."""
    topic = f"warm-{new_id()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=2)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    try:
        for _ in range(_WARM_RECORDS // 500):
            await asyncio.gather(*[await producer.send(topic, b"x" * 1000) for _ in range(500)])
        got = 0
        while got < _WARM_RECORDS:
            got += sum(map(len, (await consumer.getmany(timeout_ms=500, max_records=1000)).values()))
        await admin.delete_topics([topic])
    finally:
        await producer.stop()
        await consumer.stop()
        await admin.close()


async def until(reached: Callable[[], Awaitable[bool]], *, within: float = DONE_WITHIN, every: float = 0.1) -> None:
    """Return once it is reached; raises TimeoutError when that does not happen in time."""
    deadline = time.monotonic() + within
    while not await reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached within {within:.0f} s")
        await asyncio.sleep(every)
