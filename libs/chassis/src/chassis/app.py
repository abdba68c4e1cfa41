"""Running a role of a service: start order, supervision, and the drain on SIGTERM (architecture, section 9)."""

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
import uvloop
from aiokafka.errors import KafkaError

from chassis import apart, door, failpoints, logs, relay, skew, stream, telemetry, timers, wiring
from chassis.apart import Other
from chassis.database import AWAY, Unavailable
from chassis.schema import behind
from chassis.service import Runtime, Service
from chassis.serving import Server, Watched, announce
from chassis.settings import ServiceSettings, read_or_exit

log = structlog.get_logger(__name__)

Role = Callable[[Runtime], Awaitable[None]]

AWAY_FOR_NOW = (*AWAY, Unavailable, KafkaError)
"""What a role is started again after, with back-off; anything else that escapes a role ends the process."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0

_ROLES: dict[str, Role] = {"worker": stream.run, "timers": timers.run, "relay": relay.run}


def run(service: Service, settings: type[ServiceSettings]) -> None:
    """What `python -m <service> --role …` does; ends with the process's exit status.

    0 after a drain, 2 for a wrong setting, 1 when a role died or the drain took longer than allowed.
    """
    options = _options(service, sys.argv[1:])
    read = read_or_exit(settings, service.name)
    if options.port is not None:
        read = read.model_copy(update={"port": options.port, "port_file": options.port_file})
    failpoints.arm(read.failpoints)
    role = options.role
    other = apart.fork() if role == "all" else None
    if other is not None and other.pid is None:
        role, read = "relay", read.model_copy(update={"port": read.relay_port, "port_file": None})
    logs.setup(service.name, role, level=read.log_level, form=read.log_format)
    status = uvloop.run(_Process(service, read, role, other).run())
    raise SystemExit(status)


def _options(service: Service, arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {service.name}")
    roles = ["api", *_ROLES, *service.roles, "all"]
    parser.add_argument("--role", choices=roles, default="all", help="what this process does (default: all)")
    parser.add_argument("--port", type=int, help="instead of the setting")
    parser.add_argument("--port-file", type=Path, help="with --port: instead of the setting")
    return parser.parse_args(arguments)


class _Process:
    def __init__(self, service: Service, settings: ServiceSettings, role: str, other: Other | None) -> None:
        self._service = service
        self._settings = settings
        self._role = role
        self._other = other
        self._runtime = wiring.build(service, settings, role)
        self._serves_api = role in ("api", "all")

    async def run(self) -> int:
        """Start, work until told to stop or until something dies, drain; the exit status."""
        settings, runtime = self._settings, self._runtime
        stop = self._told_to_stop()
        provider = telemetry.setup(
            self._service.name, self._role, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio
        )
        server = Server(
            door.build(runtime)[1] if self._serves_api else Watched(runtime.health),
            host=settings.host,
            port=settings.port,
            trusted_proxies=settings.trusted_proxies,
            drain_seconds=settings.drain_seconds,
        )
        tasks = {asyncio.create_task(server.serve(), name="server")}
        await server.listening()
        announce(self._service.name, self._role, server, settings.port_file)
        roles = {asyncio.create_task(self._role_runs(name, role), name=name) for name, role in self._roles()}
        tasks |= roles
        if self._other is not None and self._other.pid is not None:
            tasks.add(asyncio.create_task(self._relay_runs(self._other), name="relay"))
        clock = asyncio.create_task(skew.run(runtime), name="clock")
        runtime.health.started = True
        gc.collect()
        gc.freeze()
        waiting = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({*tasks, clock, waiting}, return_when=asyncio.FIRST_COMPLETED)
        died = [task for task in done if task is not waiting]
        for task in died:
            log.error("role_died", name=task.get_name(), exc_info=None if task.cancelled() else task.exception())
        clock.cancel()
        drained = await self._drain(server, roles, tasks)
        if provider is not None:
            await asyncio.to_thread(provider.shutdown)
        return 0 if drained and not died else 1

    def _roles(self) -> list[tuple[str, Role]]:
        known = {**_ROLES, **self._service.roles}
        if self._role == "api":
            return []
        if self._role == "all":
            return [(name, role) for name, role in known.items() if name != "relay"]
        return [(self._role, known[self._role])]

    async def _role_runs(self, name: str, role: Role) -> None:
        """Run a role until the process drains; what is away is waited for."""
        pause = _FIRST_PAUSE
        while not self._runtime.stopping.is_set():
            try:
                wrong = await behind(self._runtime)
                if wrong is None:
                    await role(self._runtime)
                    if not self._runtime.stopping.is_set():
                        raise RuntimeError(f"the role {name} ended by itself")
                    return
            except AWAY_FOR_NOW as error:
                wrong = f"{type(error).__name__}: {error}"
            log.warning("role_waits", name=name, why=wrong, seconds=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._runtime.stopping.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _relay_runs(self, other: Other) -> None:
        """End, as a fault, when the relay's process ends unasked."""
        status = await other.ended()
        if not self._runtime.stopping.is_set():
            raise RuntimeError(f"the relay's process ended with status {status}")

    async def _drain(self, server: Server, roles: set[asyncio.Task[None]], tasks: set[asyncio.Task[None]]) -> bool:
        """Not ready; roles finish what is in hand; then the server, then the relay. False when it took too long."""
        runtime = self._runtime
        runtime.health.draining = True
        log.info("draining", roles=sorted(task.get_name() for task in roles))
        runtime.stopping.set()
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await asyncio.gather(*roles, return_exceptions=True)
                server.stop()
                await asyncio.gather(*(task for task in tasks if task.get_name() == "server"), return_exceptions=True)
                await self._end_relay(tasks)
                await runtime.wakeup.close()
                await runtime.database.close()
        except TimeoutError:
            log.error("drain_took_too_long", seconds=self._settings.drain_seconds)
            if self._other is not None:
                self._other.signal(signal.SIGKILL)
            return False
        log.info("drained")
        return True

    async def _end_relay(self, tasks: set[asyncio.Task[None]]) -> None:
        if self._other is not None and self._other.pid is not None:
            self._other.signal(signal.SIGTERM)
            await asyncio.gather(*(task for task in tasks if task.get_name() == "relay"), return_exceptions=True)

    def _told_to_stop(self) -> asyncio.Event:
        """Set by signals and, in the relay of `all`, by the end of the process that it belongs to."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        if self._other is not None and self._other.pid is None:
            loop.add_reader(self._other.link, self._left_alone, stop)
        return stop

    def _left_alone(self, stop: asyncio.Event) -> None:
        assert self._other is not None
        asyncio.get_running_loop().remove_reader(self._other.link)
        stop.set()
