"""Who publishes: the lease on a schema's journal, and how far each group of it has been published."""

import contextlib
import os
import socket
from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from chassis.database import AWAY, Database, Unavailable
from chassis.holes import UNSENT, Cursor, loaded

LEASE = timedelta(seconds=5)

_TAKE = (
    "UPDATE relay SET epoch = epoch + 1, holder = $1, lease_until = clock_timestamp() + $2 "
    "WHERE id = 0 AND (lease_until IS NULL OR lease_until < clock_timestamp()) RETURNING epoch"
)
_RELEASE = "UPDATE relay SET lease_until = NULL WHERE id = 0 AND epoch = $1"
_MAKE = "INSERT INTO relay_cursor (grp) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING"
_LOAD = "SELECT grp, high, holes, hole_xmax FROM relay_cursor WHERE grp < $1 ORDER BY grp"
_SAVE = (
    "WITH held AS (UPDATE relay SET lease_until = clock_timestamp() + $2 WHERE id = 0 AND epoch = $1 RETURNING 1), "
    "moved AS (UPDATE relay_cursor c SET high = u.high, epoch = $1, "
    "holes = ARRAY(SELECT json_array_elements_text(u.holes::json))::bigint[], "
    "hole_xmax = ARRAY(SELECT json_array_elements_text(u.stamps::json)) "
    "FROM unnest($3::smallint[], $4::bigint[], $5::text[], $6::text[]) AS u(grp, high, holes, stamps) "
    "WHERE c.grp = u.grp AND c.epoch <= $1 AND EXISTS (SELECT 1 FROM held) RETURNING 1) "
    "SELECT (SELECT count(*) FROM held) AS held, (SELECT count(*) FROM moved) AS moved"
)

OLDEST = (
    "SELECT extract(epoch FROM clock_timestamp() - min(j.recorded_at))::float AS age FROM relay_cursor c "
    "CROSS JOIN LATERAL ((SELECT recorded_at FROM journal j WHERE j.grp = c.grp AND j.seq > c.high "
    "AND j.topic IS NOT NULL ORDER BY j.seq LIMIT 1) UNION ALL SELECT recorded_at FROM journal j "
    "WHERE j.grp = c.grp AND j.seq = ANY(c.holes) AND j.topic IS NOT NULL) j"
)
"""Seconds since the oldest fact that is not published was recorded; null when there is none."""
HOLES = f"SELECT coalesce(sum(cardinality(array_remove(hole_xmax, '{UNSENT}'))), 0)::int AS holes FROM relay_cursor"
"""Numbers that may still appear, without what was read and is not acknowledged."""

Kept = tuple[int, list[int], list[str]]
"""(high, holes, their stamps) of one group."""


class LeaseLost(Exception):
    """Another relay has taken over; nothing more may be saved."""


class Lease:
    """The right to publish, for as long as it is lengthened. An epoch fences whoever held it before."""

    def __init__(self, database: Database, partitions: int, lasts: timedelta = LEASE) -> None:
        self.epoch = 0
        self.lasts = lasts
        self._database = database
        self._partitions = partitions

    @property
    def held(self) -> bool:
        """Whether this process took it and has not learnt otherwise."""
        return self.epoch > 0

    async def take(self) -> dict[int, Cursor] | None:
        """Take the lease if nobody holds it: every group's cursor, or None."""
        holder = f"{socket.gethostname()}/{os.getpid()}"
        async with self._database.begin() as connection:
            epoch = await connection.fetchval(_TAKE, holder, self.lasts)
            if epoch is None:
                return None
            await connection.execute(_MAKE, self._partitions)
            rows = await connection.fetch(_LOAD, self._partitions)
        self.epoch = epoch
        return {row["grp"]: loaded(row["high"], row["holes"], row["hole_xmax"]) for row in rows}

    async def save(self, groups: Sequence[int], kept: Sequence[Kept]) -> None:
        """Write cursors and lengthen the lease; raises LeaseLost when the epoch is not ours any more."""
        async with (await self._database.writes()).acquire() as connection:
            answer: asyncpg.Record | None = await connection.fetchrow(
                _SAVE,
                self.epoch,
                self.lasts,
                list(groups),
                [high for high, _, _ in kept],
                [str(holes) for _, holes, _ in kept],
                [_json_texts(stamps) for _, _, stamps in kept],
            )
        if answer is None or not answer["held"]:
            raise LeaseLost(f"epoch {self.epoch}")

    async def release(self) -> None:
        """Give it up, so that another takes it at once."""
        epoch, self.epoch = self.epoch, 0
        with contextlib.suppress(Unavailable, *AWAY):
            await self._database.execute(_RELEASE, epoch)


def _json_texts(texts: Sequence[str]) -> str:
    return "[" + ",".join(f'"{text}"' for text in texts) + "]"
