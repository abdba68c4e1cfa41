"""A whole installation as child processes: Kafka, PostgreSQL, topics, schemas, the five services, and the watch."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

from chassis.issuer import Issuer
from chassis.provision import Provided, provision
from cli.running import broker
from cli.running import directory as places
from cli.running.forked import ForkServer
from cli.running.services import Process, Watch
from cli.running.sink import Sink
from contracts.registry import SERVICES
from embedded.errors import NotStarted
from embedded.kafka import Kafka
from embedded.postgres import Postgres

PARTITIONS = 12
_LOOK_EVERY = 0.05
ISSUER = "http://issuer.localhost"
Say = Callable[[str], None]
AS_IT_IS: Mapping[str, str] = MappingProxyType({})


class Installation:
    """Started, watched over and stopped as one. Nothing of it outlives this process, however it ends.

    `KAFKA_BOOTSTRAP` and `DATABASE_URL` in the environment name servers to use instead of embedded ones.
    """

    def __init__(self, home: Path, *, temporary: bool, prefix: str = "", code: Mapping[str, str] = AS_IT_IS) -> None:
        """`code` is the environment in which Python imports what its processes run."""
        self.home = home
        self.prefix = prefix
        self.temporary = temporary
        self.sink = Sink()
        self.forks = ForkServer(home, remove=home if temporary else None, environment=code)
        self.watch = Watch(self.forks, moved=lambda: places.write(self.home, self.running()))
        self.issuer = Issuer(home / "issuer", ISSUER)
        self.kafka: Kafka | None = None
        self.postgres: Postgres | None = None
        self.bootstrap = ""
        self.admin_url = ""
        self._watches: list[asyncio.Task[None]] = []
        self._claim: IO[bytes] | None = None
        self._in_hand: set[asyncio.Future[None]] = set()
        self.server_restarts = 0

    async def start(self, say: Say) -> None:
        """Bring everything up, telling each step; raises Failed, NotStarted or NotAvailable with one clear line."""
        self._claim = places.claim(self.home)
        if places.forget(self.home):
            say(f"the last installation in {self.home} was killed; this one goes on with its data")
        await places.left_alone(self.home)
        self.forks.start()
        await self.sink.start()
        _, provided = await asyncio.gather(self._start_kafka(say), self._start_postgres(say))
        await asyncio.to_thread(self._start_services, provided)
        await self.watch.ready()
        self.watch.begin()
        servers = (self.kafka, self.postgres)
        self._watches = [asyncio.create_task(self._look_after(server)) for server in servers if server is not None]
        places.write(self.home, self.running())
        say("intake, workflow, approvals, billing and notifications are up")

    async def stop(self) -> None:
        """Let the services finish what they have in hand, then end the servers."""
        for watch in self._watches:
            watch.cancel()
        await self.watch.stop()
        await asyncio.gather(*self._in_hand, return_exceptions=True)
        servers = (self.kafka, self.postgres, self.forks)
        await asyncio.gather(*(asyncio.to_thread(server.stop) for server in servers if server is not None))
        await self.sink.stop()
        if self._claim is not None:
            places.forget(self.home)
            self._claim.close()

    def running(self) -> places.Running:
        """What other commands need to know."""
        services = {name: self.watch.processes[name].address for name in SERVICES}
        return places.Running(
            pid=os.getpid(),
            prefix=self.prefix,
            kafka=self.bootstrap,
            database=self.admin_url,
            issuer=str(self.home / "issuer"),
            services=services,
            smtp=f"127.0.0.1:{self.sink.port}",
        )

    def token(self, login: str, scopes: str, *, seconds: int = 8 * 3600) -> str:
        """A token of the development issuer."""
        return self.issuer.token(login, scopes, seconds=seconds)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """Do it in a thread, to its end: what is begun must be ended before it can be stopped."""
        future = asyncio.ensure_future(asyncio.to_thread(work))
        self._in_hand.add(future)
        future.add_done_callback(self._in_hand.discard)
        await asyncio.shield(future)

    # -- servers -------------------------------------------------------------------------------------------------

    async def _start_kafka(self, say: Say) -> None:
        """Kafka with this installation's topics."""
        self.bootstrap = os.environ.get("KAFKA_BOOTSTRAP", "")
        if not self.bootstrap:
            self.kafka = Kafka(self.home / "kafka")
            await self._in_thread(self.kafka.start)
            self.bootstrap = self.kafka.bootstrap
        await broker.prepare(self.bootstrap, self.prefix, PARTITIONS)
        say(f"Kafka at {self.bootstrap}, with its topics")

    async def _start_postgres(self, say: Say) -> list[Provided]:
        """PostgreSQL with this installation's schemas, and how to enter each."""
        self.admin_url = os.environ.get("DATABASE_URL", "")
        if not self.admin_url:
            self.postgres = Postgres(self.home / "postgres")
            await self._in_thread(self.postgres.start)
            self.admin_url = self.postgres.url()
        provided = await self._provision()
        say(f"PostgreSQL at {_host(self.admin_url)}, with its schemas")
        return provided

    async def _provision(self) -> list[Provided]:
        """Schemas and logins, as this release has them."""
        packages = {name: f"{name}.migrations" for name in SERVICES}
        return await provision(self.admin_url, packages, prefix=self.prefix)

    async def _look_after(self, server: Kafka | Postgres) -> None:
        """Start a server again that was killed: same data, same port."""
        while True:
            if not server.running:
                self.server_restarts += 1
                with contextlib.suppress(NotStarted):  # tried again at the next look
                    await self._in_thread(server.restart)
            await asyncio.sleep(_LOOK_EVERY)

    # -- services ------------------------------------------------------------------------------------------------

    def _start_services(self, provided: list[Provided]) -> None:
        common = self._common_settings()
        for one in provided:
            self.watch.add(Process(one.service, one.service, "all", settings_of(one, common), self.home))

    def _common_settings(self) -> dict[str, str]:
        """What every process reads; the keys of the issuer are written first."""
        keys = self.home / "issuer" / "jwks.json"
        keys.write_text(json.dumps(self.issuer.key_set()))
        return {
            "THROUGHLINE_ENV": "development",
            "THROUGHLINE_PREFIX": self.prefix,
            "THROUGHLINE_KAFKA_BOOTSTRAP": self.bootstrap,
            "THROUGHLINE_PARTITIONS": str(PARTITIONS),
            "THROUGHLINE_INSTANCE": "local",
            "THROUGHLINE_JWKS_URL": keys.as_uri(),
            "THROUGHLINE_ISSUER": ISSUER,
            "NOTIFICATIONS_SMTP_PORT": str(self.sink.port),
            "PYTHONTZPATH": "",
        }


def settings_of(one: Provided, common: dict[str, str]) -> dict[str, str]:
    """The environment of one service's processes."""
    return {
        **common,
        "THROUGHLINE_DATABASE_URL": one.database_url,
        "THROUGHLINE_RELAY_DATABASE_URL": one.relay_database_url,
    }


def _host(url: str) -> str:
    return url.rpartition("@")[2]
