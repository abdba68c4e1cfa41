"""The journal to Kafka: a process of its own that reads what was committed and publishes it in order.

Invariant (messaging, section 2.2): for each topic and subject, the first occurrences on the topic are exactly
sequences 1..n, in order and without gap; nothing visible is ever passed. What may happen is a repeat.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import KafkaError

from chassis import naming
from chassis.clock import utc_now
from chassis.database import AWAY, Database, Unavailable
from chassis.holes import Cursor, loaded, saved
from chassis.kafka import options
from chassis.publishing import NotSent, Publisher, Record, record_of
from chassis.resend import Answers
from chassis.wakeup import FACTS, Wakeup

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_LIMIT = 1000
_SAVE_EVERY = 0.1
_LEASE = timedelta(seconds=5)
_FLOOR = timedelta(days=1)
"""How far behind the last row read a group's poll looks: it lets PostgreSQL leave old partitions alone."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_BACK_OFF = (0.05, 0.2, 1.0, 3.0)

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
_COLUMNS = (
    "j.grp, j.seq, j.recorded_at, j.event_id, j.topic, j.type, j.version, j.key, j.sequence, j.occurred_at, "
    "j.actor ->> 'kind' AS actor_kind, j.actor ->> 'id' AS actor_id, j.correlation_id, j.causation_id, j.hop, "
    "j.traceparent, CASE WHEN j.topic IS NOT NULL THEN j.data::text END AS data, "
    "CASE WHEN j.topic IS NOT NULL THEN j.personal::text END AS personal"
)
_POLL = (
    "SELECT s.xmin, s.xmax, r.* FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, "
    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax) s LEFT JOIN LATERAL ("
    f"(SELECT j.* FROM unnest($1::smallint[], $2::bigint[]) g(grp, high) CROSS JOIN LATERAL (SELECT {_COLUMNS} "
    "FROM journal j WHERE j.grp = g.grp AND j.seq > g.high AND j.recorded_at >= $5 ORDER BY j.seq LIMIT $6) j) "
    f"UNION ALL (SELECT {_COLUMNS} FROM unnest($3::smallint[], $4::bigint[]) h(grp, seq) "
    "JOIN journal j ON j.grp = h.grp AND j.seq = h.seq AND j.recorded_at >= $5)) r ON true"
)
_OLDEST = (
    "SELECT extract(epoch FROM clock_timestamp() - min(j.recorded_at))::float AS age FROM relay_cursor c "
    "CROSS JOIN LATERAL (SELECT recorded_at FROM journal j WHERE j.grp = c.grp AND j.seq > c.high "
    "AND j.topic IS NOT NULL ORDER BY j.seq LIMIT 1) j"
)


class LeaseLost(Exception):
    """Another relay has taken over; nothing more may be saved."""


class Relay:
    """Publishes one schema's journal while it holds the lease."""

    def __init__(
        self, database: Database, publisher: Publisher, wakeup: Wakeup, *, partitions: int, source: str
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._wakeup = wakeup
        self._partitions = partitions
        self._source = source
        self._epoch = 0
        self._cursors: dict[int, Cursor] = {}
        self._dirty: set[int] = set()
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._not_before: dict[int, float] = {}
        self._failures: Counter[int] = Counter()
        self._floors: dict[int, datetime] = {}
        self.sent = 0
        """Records acknowledged by this process."""

    @property
    def holes(self) -> int:
        """Numbers that are missed at the moment."""
        return sum(len(cursor.holes) for cursor in self._cursors.values())

    @property
    def leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._epoch > 0

    def high(self, group: int) -> int:
        """How far a group has been published."""
        return self._cursors[group].high if group in self._cursors else 0

    async def oldest_unsent(self) -> float:
        """Seconds since the oldest fact that is not published was recorded; 0 when there is none."""
        rows = await self._database.read(_OLDEST)
        return float(rows[0]["age"] or 0.0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Wait for the lease, publish until told to stop, give the lease up. Raises Unavailable and AWAY errors."""
        while not stopping.is_set():
            if not await self._lead():
                await _until(stopping, 0.5)
                continue
            try:
                await self._publish_until(stopping)
            except LeaseLost:
                log.warning("relay_lease_lost", epoch=self._epoch)
            finally:
                await self._end()

    async def _lead(self) -> bool:
        holder = f"{socket.gethostname()}/{os.getpid()}"
        async with self._database.begin() as connection:
            epoch = await connection.fetchval(_TAKE, holder, _LEASE)
            if epoch is None:
                return False
            await connection.execute(_MAKE, self._partitions)
            rows = await connection.fetch(_LOAD, self._partitions)
        self._epoch = epoch
        self._cursors = {row["grp"]: loaded(row["high"], row["holes"], row["hole_xmax"]) for row in rows}
        self._dirty.clear()
        log.info("relay_leads", epoch=epoch)
        return True

    async def _publish_until(self, stopping: asyncio.Event) -> None:
        saver = asyncio.create_task(self._save_for_ever())
        try:
            while not stopping.is_set():
                if saver.done():
                    saver.result()
                if await self.step():
                    self._wakeup.busy()
                    await asyncio.sleep(0)
                else:
                    await self._wakeup.wait(self._pause(), FACTS)
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            await self._save()
        finally:
            saver.cancel()
            with contextlib.suppress(asyncio.CancelledError, LeaseLost, Unavailable, *AWAY):
                await saver

    def _pause(self) -> float:
        late = [at for at in self._not_before.values() if at > time.monotonic()]
        return min(0.5, max(0.01, min(late) - time.monotonic())) if late else 0.5

    async def step(self) -> bool:
        """One poll of every idle group; whether anything was found. Groups publish by themselves meanwhile."""
        now = time.monotonic()
        idle = [g for g in self._cursors if g not in self._busy and self._not_before.get(g, 0.0) <= now]
        if not idle:
            await asyncio.wait(self._busy.values(), return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
            return True
        missed = [(g, n) for g in idle for n in self._cursors[g].holes]
        rows = await self._database.read(
            _POLL,
            idle,
            [self._cursors[g].high for g in idle],
            [g for g, _ in missed],
            [n for _, n in missed],
            min(self._floors.get(g, _BEGINNING) for g in idle),
            _LIMIT,
        )
        xmin, xmax = rows[0]["xmin"], rows[0]["xmax"]
        by_group: dict[int, list[Any]] = {}
        for row in rows:
            if row["seq"] is not None:
                by_group.setdefault(row["grp"], []).append(row)
        for group in idle:
            found = by_group.get(group, [])
            cursor = self._cursors[group].advanced((row["seq"] for row in found), xmin, xmax)
            if found:
                self._busy[group] = asyncio.create_task(self._publish(group, found, cursor))
                continue
            if not cursor.holes:
                self._floors[group] = utc_now() - _FLOOR
            if len(cursor.holes) != len(self._cursors[group].holes):
                self._move(group, cursor)
        return bool(by_group)

    async def _publish(self, group: int, rows: list[Any], cursor: Cursor) -> None:
        """Send one group's rows, topic by topic in order; the cursor moves when all are acknowledged."""
        rows.sort(key=lambda row: row["seq"])
        by_topic: dict[str, list[Record]] = {}
        for row in rows:
            if row["topic"] is not None:
                by_topic.setdefault(row["topic"], []).append(record_of(row, self._source))
        try:
            for topic, records in by_topic.items():
                count = await self._publisher.partitions(topic)
                await self._publisher.send(topic, group % count, records)
                self.sent += len(records)
        except (NotSent, OSError, TimeoutError, KafkaError) as error:
            pause = _BACK_OFF[min(self._failures[group], len(_BACK_OFF) - 1)]
            self._failures[group] += 1
            self._not_before[group] = time.monotonic() + pause
            log.warning("not_published", group=group, error=str(error), again_in=pause)
        else:
            self._failures.pop(group, None)
            self._move(group, cursor)
            self._floors[group] = min(row["recorded_at"] for row in rows) - _FLOOR
        finally:
            self._busy.pop(group, None)

    def _move(self, group: int, cursor: Cursor) -> None:
        self._cursors[group] = cursor
        self._dirty.add(group)

    async def _save_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            await self._save()

    async def _save(self) -> None:
        """Write the cursors that moved and lengthen the lease; raises LeaseLost when the epoch is not ours any more."""
        groups = sorted(self._dirty)
        self._dirty.clear()
        rows = [saved(self._cursors[group]) for group in groups]
        async with (await self._database.writes()).acquire() as connection:
            answer = await connection.fetchrow(
                _SAVE,
                self._epoch,
                _LEASE,
                groups,
                [high for high, _, _ in rows],
                [str(holes) for _, holes, _ in rows],
                [_json_texts(stamps) for _, _, stamps in rows],
            )
        if answer is None or not answer["held"]:
            raise LeaseLost(f"epoch {self._epoch}")

    async def _end(self) -> None:
        for task in list(self._busy.values()):
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        self._busy.clear()
        await self._publisher.close()
        epoch, self._epoch = self._epoch, 0
        with contextlib.suppress(Unavailable):
            await self._database.execute(_RELEASE, epoch)


def _json_texts(texts: Sequence[str]) -> str:
    return "[" + ",".join(f'"{text}"' for text in texts) + "]"


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def run(runtime: "Runtime") -> None:
    """The role `relay`: publish, and answer those who missed something, until the process drains."""
    kafka = options(runtime.settings)
    publisher = Publisher(runtime.prefix, **kafka)
    source = naming.source(runtime.prefix, runtime.name)
    relay = Relay(runtime.database, publisher, runtime.wakeup, partitions=runtime.settings.partitions, source=source)
    resending = Publisher(runtime.prefix, **kafka)
    answers = Answers(runtime.database, resending, relay, runtime.name, runtime.prefix)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(relay.run(runtime.stopping))
            group.create_task(answers.run(runtime.stopping, **kafka))
    except* (KafkaError, NotSent, Unavailable, *AWAY) as failed:
        raise failed.exceptions[0] from None
    finally:
        await resending.close()
