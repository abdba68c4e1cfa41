"""What an installation holds on to: memory and open files of its processes, sessions at the database, small tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cli.clients import Where, schemas
from cli.running.services import Process

_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> current_user"
_SIZES = (
    "SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relname = ANY($1)"
)
BOUNDED: Final = ("waiting", "relay", "relay_cursor", "series", "documents", "clients")
"""Tables that hold what is on its way, or a row for each of a few things: whatever passes through, they stay small."""
_TIDIED = "interval '5 minutes'"
"""Housekeeping comes once a minute, and may have been away."""
DRAINED: Final = {
    "journal_default": "SELECT count(*) FROM journal_default",
    "relay_cursor.holes": "SELECT coalesce(sum(cardinality(holes)), 0) FROM relay_cursor",
    "message_ids": f"SELECT count(*) FROM message_ids WHERE kept_until < clock_timestamp() - {_TIDIED}",
    "dead_letters": "SELECT count(*) FROM dead_letters "
    f"WHERE resolved_at < clock_timestamp() - interval '30 days' - {_TIDIED}",
    "asks_sent": f"SELECT count(*) FROM asks_sent WHERE asked_at < clock_timestamp() - interval '1 day' - {_TIDIED}",
}
"""Rows that are gone once nothing is going on: of no month, missed by the relay, kept for longer than is promised."""


class Held(NamedTuple):
    """What one process holds."""

    pid: int
    kib: int
    """Resident memory."""
    files: int
    """Open files and connections."""


@dataclass(frozen=True)
class Footprint:
    """All of it at one moment, when nothing is going on."""

    processes: Mapping[str, Held] = field(default_factory=dict)
    sessions: int = 0
    tables: Mapping[str, int] = field(default_factory=dict)
    """Bytes with all that belongs to it, by `service.table`."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Rows that should be gone, by `service.table`."""

    @property
    def mib(self) -> float:
        """Resident memory of the largest process."""
        return max((held.kib for held in self.processes.values()), default=0) / 1024


async def footprint(where: Where, processes: Mapping[str, Process]) -> Footprint:
    """What is held now."""
    tables: dict[str, int] = {}
    left: dict[str, int] = {}
    async with schemas(where) as visits:
        async for name, connection in visits:
            rows = await connection.fetch(_SIZES, list(BOUNDED))
            tables |= {f"{name}.{row['relname']}": int(row["size"]) for row in rows}
            left |= {f"{name}.{what}": int(await connection.fetchval(query)) for what, query in DRAINED.items()}
            sessions = int(await connection.fetchval(_SESSIONS))
    pids = {name: process.child.pid for name, process in processes.items() if process.child is not None}
    held = {name: each for name, pid in pids.items() if (each := held_by(pid))}
    return Footprint(held, sessions, tables, left)


def held_by(pid: int) -> Held | None:
    """What a process holds; None when it has just ended, or where the system does not tell."""
    process = Path(f"/proc/{pid}")
    try:
        status = (process / "status").read_text().splitlines()
        [kib] = [int(line.split()[1]) for line in status if line.startswith("VmRSS:")]
        return Held(pid, kib, sum(1 for _ in (process / "fd").iterdir()))
    except (OSError, ValueError):
        return None
