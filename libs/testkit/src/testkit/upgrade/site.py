"""An installation whose services are of one release or the other, each by itself, and are exchanged while it works."""

import asyncio
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from chassis.clock import utc_now
from chassis.provision import Names, Provided, as_login
from cli.running.forked import ForkServer
from cli.running.installation import PARTITIONS, Say
from cli.running.services import Process
from contracts.registry import SERVICES
from testkit.chaos.faults import ended, ready
from testkit.chaos.site import APART, Site

ORDER: Final = (("worker",), ("api", "relay", "sender"), ("timers",))
"""The order of the roles of one service. `timers` come last: they fold anew what older processes wrote until then."""
_PROVISION = (sys.executable, "-m", "chassis.provision", *SERVICES)
"""What `throughline provision` does, without loading all that `throughline` can do."""
_PROVISIONED_WITHIN = 150.0


@dataclass
class Time:
    """When a service was of one release, whole: every process of it."""

    service: str
    release: str
    since: datetime
    until: datetime | None = None


class UpgradeSite(Site):
    """All services begin in `old`. This process itself imports `new`, so that it can read what both have written."""

    def __init__(self, home: Path, old: Mapping[str, str]) -> None:
        """`old` is the environment in which Python imports the old release."""
        super().__init__(home, roles=APART)
        mine = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        self._environments: dict[str, Mapping[str, str]] = {"this": old, "next": mine}
        self._forks = {
            "this": ForkServer(home, remove=None, name="forkserver-old", environment=old),
            "next": self.forks,
        }
        self._passwords = {login: secrets.token_urlsafe(24) for name in SERVICES for login in _logins(name)}
        self._topics_made = asyncio.Event()
        self.times: list[Time] = []
        self.statuses: list[int | None] = []
        """The exit status of every process that was exchanged."""

    async def start(self, say: Say) -> None:
        """Bring everything up, of the old release."""
        self._forks["this"].start()
        await super().start(say)
        self.times = [Time(name, "this", utc_now()) for name in SERVICES]

    async def stop(self) -> None:
        """End everything."""
        await super().stop()
        await asyncio.to_thread(self._forks["this"].stop)

    async def provisioned(self, release: str) -> None:
        """The schemas, logins and topics of one release, beside whatever runs. Raises RuntimeError."""
        urls = {}
        for one in self._provided():
            urls[f"{one.service.upper()}_DATABASE_URL"] = one.database_url
            urls[f"{one.service.upper()}_RELAY_DATABASE_URL"] = one.relay_database_url
        environment = {
            **os.environ,
            "THROUGHLINE_ADMIN_DATABASE_URL": self.admin_url,
            "THROUGHLINE_KAFKA_BOOTSTRAP": self.bootstrap,
            "THROUGHLINE_PARTITIONS": str(PARTITIONS),
            **urls,
            **self._environments[release],
        }
        process = await asyncio.create_subprocess_exec(*_PROVISION, env=environment, stdout=PIPE, stderr=PIPE)
        said, complained = await asyncio.wait_for(process.communicate(), _PROVISIONED_WITHIN)
        if process.returncode:
            raise RuntimeError((said + complained).decode())

    def time(self, service: str) -> Time:
        """Since when a service is what it is now."""
        return next(each for each in reversed(self.times) if each.service == service)

    async def turn(self, service: str, release: str) -> None:
        """Exchange every process of one service, a few at a time, each drained and each awaited."""
        self.time(service).until = utc_now()
        processes = [each for each in self.watch.processes.values() if each.module == service]
        for roles in ORDER:
            await asyncio.gather(*(self._exchanged(each, release) for each in processes if each.role in roles))
        self.times.append(Time(service, release, utc_now()))

    async def _exchanged(self, process: Process, release: str) -> None:
        self._belongs(process, release)
        gone = await ended(process, signal.SIGTERM)
        self.statuses.append(gone.returncode)
        await ready(process)

    async def _start_kafka(self, say: Say) -> None:
        await super()._start_kafka(say)
        self._topics_made.set()

    async def _provision(self) -> list[Provided]:
        await self._topics_made.wait()
        await self.provisioned("this")
        return self._provided()

    def _provided(self) -> list[Provided]:
        return [
            Provided(name, *(as_login(self.admin_url, login, self._passwords[login]) for login in _logins(name)))
            for name in SERVICES
        ]

    def _process(self, name: str, service: str, role: str, settings: dict[str, str]) -> Process:
        process = super()._process(name, service, role, settings)
        self._belongs(process, "this")
        return process

    def _belongs(self, process: Process, release: str) -> None:
        process.forks = self._forks[release]
        process.environment.update(self._environments[release])


def _logins(service: str) -> tuple[str, str]:
    names = Names(service)
    return names.app, names.relay
