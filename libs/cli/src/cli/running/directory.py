"""Where a running installation keeps its data, and how other commands find it."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from embedded.errors import NotAvailable


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


def write(directory: Path, running: Running) -> None:
    """Say that an installation is up, in one step: a reader sees all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=directory)
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(running), file, indent=2)
    Path(name).replace(directory / "running.json")


def read(directory: Path | None = None) -> Running:
    """The installation that is up here; raises NotAvailable when none is."""
    path = (directory or home()) / "running.json"
    try:
        running = Running(**json.loads(path.read_text()))
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError):
        raise NotAvailable("no installation is up here; `throughline up` starts one") from None
    return running


def forget(directory: Path) -> None:
    """Say that it is down."""
    (directory / "running.json").unlink(missing_ok=True)
