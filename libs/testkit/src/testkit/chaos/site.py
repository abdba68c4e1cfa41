"""An installation for chaos: every role a process of its own, its servers behind proxies where links are to fail."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from chassis.provision import Provided
from cli.running import broker
from cli.running.installation import AS_IT_IS, PARTITIONS, Installation, Say, settings_of
from cli.running.services import Process
from contracts.registry import SERVICES
from embedded.kafka import Kafka
from testkit.chaos import mounts
from testkit.chaos.operations import Operations
from testkit.chaos.proxy import Proxy

Roles = Mapping[str, tuple[str, ...]]

APART: Roles = {
    **dict.fromkeys(SERVICES, ("api", "worker", "relay", "timers")),
    "notifications": ("api", "worker", "relay", "timers", "sender"),
}
"""Every role of every service a process of its own."""
TOGETHER: Roles = dict.fromkeys(SERVICES, ("all",))
"""Two processes a service, the relay apart, as embedded use has it."""
_AT_ONCE = 4


class Addresses(Mapping[str, str]):
    """Where each service's door is now: one that was killed before it said its port comes back at another."""

    def __init__(self, processes: Mapping[str, Process]) -> None:
        self._processes = processes

    def __getitem__(self, service: str) -> str:
        return self._processes[service].address

    def __iter__(self) -> Iterator[str]:
        return iter(SERVICES)

    def __len__(self) -> int:
        return len(SERVICES)


class Site(Installation):
    """Processes are called `<service>-<role>`; the one with the door, just `<service>`."""

    def __init__(
        self,
        home: Path,
        *,
        roles: Roles = APART,
        proxied: bool = False,
        disks: bool = False,
        code: Mapping[str, str] = AS_IT_IS,
    ) -> None:
        super().__init__(home, temporary=True, code=code)
        self._roles = roles
        self._later: list[Process] = []
        self.kafka_link = Proxy(lambda: self.kafka.port if self.kafka is not None else 0)
        self.postgres_link = Proxy(lambda: self.postgres.port if self.postgres is not None else 0)
        self._proxied = proxied
        self._disks = [home / server / "data" for server in ("postgres", "kafka")] if disks else []
        self.operations = Operations()
        """Everything that was ever asked of this site."""

    async def start(self, say: Say) -> None:
        """Bring everything up, a few processes at a time: a small machine starts no twenty at once."""
        for disk in self._disks:
            mounts.mount(disk)
        if self._proxied:
            await asyncio.gather(self.kafka_link.start(), self.postgres_link.start())
        await super().start(say)
        for n in range(0, len(self._later), _AT_ONCE):
            for process in self._later[n : n + _AT_ONCE]:
                self.watch.add(process)
            await self.watch.ready()

    async def stop(self) -> None:
        """End everything, the links last."""
        self.kafka_link.heal()
        self.postgres_link.heal()
        await super().stop()
        if self._proxied:
            await asyncio.gather(self.kafka_link.stop(), self.postgres_link.stop())
        for disk in self._disks:
            mounts.unmount(disk)

    async def _start_kafka(self, say: Say) -> None:
        if not self._proxied:
            await super()._start_kafka(say)
            return
        self.kafka = Kafka(self.home / "kafka", advertised=f"127.0.0.1:{self.kafka_link.port}")
        await asyncio.to_thread(self.kafka.start)
        self.bootstrap = self.kafka.bootstrap
        await broker.prepare(self.bootstrap, self.prefix, PARTITIONS)
        say(f"Kafka at {self.bootstrap}, behind a proxy, with its topics")

    def _start_services(self, provided: list[Provided]) -> None:
        common = {**self._common_settings(), "THROUGHLINE_ENV": "test"}
        for one in provided:
            settings = self._through_the_link(settings_of(one, common))
            for role in self._roles.get(one.service, ()):
                door = role in ("api", "all")
                name = one.service if door else f"{one.service}-{role}"
                process = self._process(name, one.service, role, settings.copy())
                if door:
                    self.watch.add(process)
                else:
                    self._later.append(process)

    def _process(self, name: str, service: str, role: str, settings: dict[str, str]) -> Process:
        return Process(name, service, role, settings, self.home)

    def _through_the_link(self, settings: dict[str, str]) -> dict[str, str]:
        """Let the services reach the database through its proxy."""
        if not self._proxied or self.postgres is None:
            return settings
        direct, proxied = f":{self.postgres.port}/", f":{self.postgres_link.port}/"
        return {
            name: value.replace(direct, proxied) if name.endswith("DATABASE_URL") else value
            for name, value in settings.items()
        }
