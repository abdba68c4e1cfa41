"""Where a running installation keeps its data, and how other commands find it."""

import asyncio
import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from chassis.clock import utc_now
from cli.console import Failed
from embedded.process import guards

_TEMPORARY = "throughline-demo-"
_GONE_WITHIN = 30.0
_YOUNG = 10.0
"""Seconds in which a directory may not have been claimed yet by who made it."""


@dataclass
class Running:
    """What other commands need to know of an installation that is up."""

    pid: int
    prefix: str
    kafka: str
    database: str
    """The superuser's address; it never leaves this machine."""
    issuer: str
    services: dict[str, str] = field(default_factory=dict)
    """Base address of each service's HTTP door."""
    smtp: str | None = None
    """The address of the local mail sink, and where it says what it took."""

    def kafka_options(self) -> dict[str, str]:
        """What aiokafka's clients need to connect."""
        return {"bootstrap_servers": self.kafka}

    def administrator(self) -> str:
        """The database's address as an administrator."""
        return self.database


def home() -> Path:
    """The directory of this user's installations; `THROUGHLINE_HOME` names another."""
    named = os.environ.get("THROUGHLINE_HOME")
    base = Path(named) if named else Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state"))
    path = base if named else base / "throughline"
    path.mkdir(parents=True, exist_ok=True)
    return path


def claim(directory: Path) -> IO[bytes]:
    """Make this the process whose installation lies here, until it closes what is returned or ends, however it ends.

    Raises Failed when there is one already.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Failed(f"an installation is up in {directory} already; `throughline down` stops it") from None
    return lock


def _claimed(directory: Path) -> bool:
    try:
        claim(directory).close()
    except Failed:
        return True
    return False


def write(directory: Path, running: Running) -> None:
    """Say that an installation is up, in one step: a reader sees all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=directory)
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(running), file, indent=2)
    Path(name).replace(directory / "running.json")


def read(directory: Path | None = None) -> Running:
    """The installation that is up here; raises Failed when none is, whatever one that was killed has left."""
    place = directory or home()
    try:
        running = Running(**json.loads((place / "running.json").read_text()))
    except (OSError, ValueError, TypeError):
        running = None
    if running is None or not _claimed(place):
        raise Failed(
            f"no installation is up here, in {place}; `throughline up` starts one. THROUGHLINE_HOME names another "
            "place, THROUGHLINE_KAFKA_BOOTSTRAP an installation that others run"
        )
    return running


def is_up(directory: Path | None = None) -> bool:
    """Whether an installation is up here."""
    try:
        read(directory)
    except Failed:
        return False
    return True


def forget(directory: Path) -> bool:
    """Say that none is up; whether one was said to be."""
    said = (directory / "running.json").exists()
    (directory / "running.json").unlink(missing_ok=True)
    return said


async def left_alone(directory: Path) -> None:
    """Return when no process of an installation that was killed works here any more; raises Failed."""
    deadline = asyncio.get_running_loop().time() + _GONE_WITHIN
    while left := guards(directory):
        if asyncio.get_running_loop().time() > deadline:
            raise Failed(f"processes {left} of an installation that was killed do not end")
        await asyncio.sleep(0.1)


def temporary() -> Path:
    """A directory for an installation that leaves nothing behind. Other users of the machine may not look into it."""
    return Path(tempfile.mkdtemp(prefix=_TEMPORARY))


def sweep() -> list[Path]:
    """Remove temporary directories whose installation was killed together with all that would have removed them."""
    old = [
        place
        for place in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*")
        if (place / "lock").exists() and utc_now().timestamp() - place.stat().st_mtime > _YOUNG
    ]
    left = [place for place in old if os.access(place, os.W_OK) and not _claimed(place) and not guards(place)]
    for place in left:
        shutil.rmtree(place, ignore_errors=True)
    return left
