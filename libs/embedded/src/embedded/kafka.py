"""Real Apache Kafka 4 without Docker, Java or Maven: one KRaft node on free ports of 127.0.0.1."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from embedded import jars, jvm, storage
from embedded.errors import NotAvailable, NotStarted
from embedded.ports import LOOPBACK, answers, free_port
from embedded.process import Child

MIB = 1024 * 1024

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # A killed node stays fenced until its session ends: keep that short.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    # One node: the internal topics have one copy, and few partitions start quicker.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group that was away keeps its place for longer than any topic keeps its records.
    "offsets.retention.minutes": str(42 * 24 * 60),
    "message.max.bytes": str(2 * MIB),
    "replica.fetch.max.bytes": str(2 * MIB),
    # Room for the many small topics of tests.
    "log.index.size.max.bytes": str(MIB),
    "log.cleaner.dedupe.buffer.size": str(16 * MIB),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "controlled.shutdown.enable": "false",
}


class Kafka:
    """One broker that is its own controller. Its data and its ports stay the same over restarts."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        advertised: str | None = None,
        within: float = 120.0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`directory` keeps the data; without one, a temporary directory is used and removed at the end.

        `advertised` is the host:port that clients are told to use, when a proxy stands before the broker. `settings`
        are the broker's own, beside or instead of `SETTINGS`; clients come in by the listener `PLAINTEXT`, which
        `listener.security.protocol.map` may give another protocol.
        """
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="throughline-kafka-"))
        self._fixed_port = port
        self.port = port or 0
        self._controller_port = 0
        self._advertised = advertised
        self._within = within
        self._more = dict(settings or {})
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return self._advertised or f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The server's process; None while it does not run."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    @property
    def log(self) -> Path:
        return self.directory / "kafka.log"

    def start(self) -> None:
        """Fetch what is missing, format where there is no data, start, and return when clients are answered."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            jvm.java()
            jars.fetch(jars.locked(), jars.cache())
            self._start_on_some_port()
        except (NotAvailable, NotStarted):
            self._clean()
            raise

    def stop(self) -> None:
        """End it in good order; a temporary directory goes with it. Safe to call twice."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._clean()

    def kill(self) -> None:
        """kill -9, as a lost machine; the data stays for `start`."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Kill and start again: same data, same port."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it where it stands: connections stay open and nothing answers."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        """Let a paused broker go on."""
        if self._child is not None:
            self._child.resume()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _clean(self) -> None:
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _start_on_some_port(self) -> None:
        """Another process may take a free port before the broker does: try others, unless the port is given."""
        for attempt in range(5):
            self.port = self.port or free_port()
            self._controller_port = self._controller_port or free_port()
            try:
                self._start()
                return
            except NotStarted as wrong:
                if self._fixed_port or "Address already in use" not in str(wrong) or attempt == 4:
                    raise
                self.port = self._controller_port = 0

    def _start(self) -> None:
        settings, properties = self._settings(), self.directory / "server.properties"
        storage.write(properties, settings)
        if not (self._data / "meta.properties").exists():
            storage.make(self._data, settings, port=self.port, within=self._within)
        child = Child(
            jvm.command(["kafka.Kafka", str(properties)]),
            log=self.log,
            env=jvm.ENVIRONMENT,
            remove=self.directory if self._temporary else None,
        )
        child.wait_until(lambda: answers(self.port), within=self._within, name="Kafka")
        storage.in_use()
        self._child = child

    def _settings(self) -> dict[str, str]:
        return (
            SETTINGS
            | self._more
            | {
                "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
                "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
                "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
                "log.dirs": str(self._data),
            }
        )
