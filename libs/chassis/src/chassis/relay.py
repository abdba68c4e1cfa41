"""The journal to Kafka: a process of its own that reads what was committed and publishes it in order.

Invariant (messaging, section 2.2): for each topic and subject, the first occurrences on the topic are exactly
sequences 1..n, in order and without gap; nothing visible is ever passed. What may happen is a repeat.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from chassis import failpoints, naming, telemetry, upkeep
from chassis.database import Database
from chassis.groups import BEGINNING, POLL, Group
from chassis.kafka import options
from chassis.lanes import Lane
from chassis.lease import LEASE, OLDEST, Lease, LeaseLost
from chassis.pace import rest_after
from chassis.publishing import Publisher
from chassis.resend import Answers
from chassis.wakeup import FACTS, Wakeup
from contracts import registry

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_LIMIT = 250
"""Rows of one group in one poll: of all groups together they are what a relay with much to tell holds in memory."""
_FEWEST = 10
"""So few are read at first, when nothing is known of their size."""
_AGAIN = 500
"""Rows of a lane that are read again at a time: they are held in memory, however long a topic cannot be written.

So many, too, of what a relay before this one left unsent in a group. Of fewer where `_LIMIT` is cut down.
"""
_MOST_BYTES = 32 << 20
"""A poll that brought more than this is followed by smaller ones."""
_SLOW = 0.05
"""Seconds that a round waits for its batches before the lanes that are done go on without the rest."""
_LOOK_ANYWAY = 1.0
_SAVE_EVERY = 0.1
_RENEW_EVERY = 1.5
_DRAIN_WITHIN = 2.0
_TOLD_AGAIN = 2000
"""The last rows of each group in which documents are looked for that must be told again."""
_TELL_AGAIN_AFTER = 30.0
"""Seconds after a change of lease or a failed send until nothing that was cut off can be written any more."""

_LATEST = (
    "SELECT DISTINCT ON (j.topic, j.key) j.grp, j.seq, j.topic, j.recorded_at FROM relay_cursor c CROSS JOIN LATERAL ("
    "SELECT grp, seq, topic, key, recorded_at FROM journal WHERE grp = c.grp AND seq > c.high - $2 ORDER BY seq "
    "LIMIT $2) j WHERE j.topic = ANY($1::text[]) ORDER BY j.topic, j.key, j.seq DESC"
)
"""The last rows of each group: the limit holds them all, and makes PostgreSQL go by group through the index."""


class Relay:
    """Publishes one schema's journal while it holds the lease.

    `documents` are the topics of which only the latest record of a key counts: around a change of lease or a failed
    send the latest are told again, because a batch that was cut off may have been written after them.
    """

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        wakeup: Wakeup,
        *,
        partitions: int,
        source: str,
        documents: Sequence[str] = (),
        lease: timedelta = LEASE,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._wakeup = wakeup
        self._make_lane = lambda topic: Lane(topic, publisher, source, partitions, self._count)
        self._documents = list(documents)
        self._lease = Lease(database, partitions, lease)
        self._groups: dict[int, Group] = {}
        self._limit = _FEWEST
        self._saved_at = 0.0
        self._tell_again_at: float | None = None
        self.sent = 0
        """Records acknowledged to this process."""

    @property
    def holes(self) -> int:
        """Numbers that are missed at the moment."""
        return sum(len(group.cursor.holes) for group in self._groups.values())

    @property
    def leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._lease.held

    async def oldest_unsent(self) -> float:
        """Seconds since the oldest fact that is not published was recorded; 0 when there is none."""
        rows = await self._database.read(OLDEST)
        return float(rows[0]["age"] or 0.0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Wait for the lease, publish until told to stop, give the lease up. Raises Unavailable and AWAY errors."""
        while not stopping.is_set():
            if not await self._lead():
                await _until(stopping, min(0.5, self._lease.lasts.total_seconds() / 4))
                continue
            try:
                await self._publish_until(stopping)
            except LeaseLost:
                log.warning("relay_lease_lost", epoch=self._lease.epoch)
            finally:
                await self._end()

    async def _lead(self) -> bool:
        cursors = await self._lease.take()
        if cursors is None:
            return False
        self._groups = {number: Group(number, cursor, self._make_lane) for number, cursor in cursors.items()}
        self._limit = min(_FEWEST, _LIMIT)
        self._saved_at = time.monotonic()
        self._tell_again_at = time.monotonic() + _TELL_AGAIN_AFTER
        log.info("relay_leads", epoch=self._lease.epoch)
        return True

    async def _end(self) -> None:
        tasks = [lane.task for lane in self._lanes() if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._publisher.close()
        await self._lease.release()

    # -- publishing ----------------------------------------------------------------------------------------------

    async def _publish_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            began = time.monotonic()
            found = await self.step()
            await self._save_when_due()
            if found:
                self._wakeup.busy()
                await asyncio.sleep(rest_after(time.monotonic() - began))
            else:
                await self._wakeup.wait(self._pause(), FACTS)
        await self._acknowledged(_DRAIN_WITHIN)
        await self._save()

    async def step(self) -> bool:
        """Read every group once, send what may be sent, wait a moment for it; whether anything was found."""
        if self._tell_again_at is not None and time.monotonic() >= self._tell_again_at:
            await self._tell_again()
        groups = self._groups.values()
        readable = {group for group in groups if not group.full}
        ready = {lane for lane in self._lanes() if lane.ready}
        most = max(1, _AGAIN * self._limit // _LIMIT)
        missed = {group: group.missed(ready, most) for group in groups}
        rows = await self._database.read(
            POLL,
            [group.number for group in readable],
            [group.cursor.high for group in readable],
            [group.number for group, numbers in missed.items() for _ in numbers],
            [n for numbers in missed.values() for n in numbers],
            min((group.floor for group in readable), default=BEGINNING),
            min((group.missed_since(ready) for group in groups), default=BEGINNING),
            self._limit,
        )
        by_group: dict[int, list[Any]] = {}
        for row in rows:
            if row["seq"] is not None:
                by_group.setdefault(row["grp"], []).append(row)
        self._bound(rows)
        xmin, xmax, now = rows[0]["xmin"], rows[0]["xmax"], rows[0]["now"]
        for group in groups:
            found = by_group.get(group.number, ())
            group.take(found, xmin, xmax, ready, now=now, read=group in readable, asked=missed[group])
        await self._acknowledged(_SLOW)
        return bool(by_group)

    def _bound(self, rows: Sequence[Any]) -> None:
        """Read fewer after a poll that brought too much, and more after one that brought enough to judge by."""
        size = sum(len(row["data"] or "") + len(row["personal"] or "") for row in rows)
        if size > _MOST_BYTES:
            self._limit = max(_FEWEST, self._limit // 4)
        elif len(rows) >= self._limit:
            self._limit = min(_LIMIT, self._limit * 2)

    async def _acknowledged(self, seconds: float) -> None:
        """Wait for the batches that are out, for so long at most; failed ones have their documents told again."""
        out = [lane.task for lane in self._lanes() if lane.sending and lane.task is not None]
        if out:
            await asyncio.wait(out, timeout=seconds)
        if self._documents and any(lane.failures for lane in self._lanes() if lane.topic in self._documents):
            self._tell_again_at = time.monotonic() + _TELL_AGAIN_AFTER

    def _count(self, records: int) -> None:
        self.sent += records

    def _lanes(self) -> Iterator[Lane]:
        return (lane for group in self._groups.values() for lane in group.lanes.values())

    def _pause(self) -> float:
        if any(lane.sending for lane in self._lanes()):
            return _SLOW
        waits = [lane.ready_in for lane in self._lanes() if lane.unsent]
        return min(_LOOK_ANYWAY, max(0.005, min(waits))) if waits else _LOOK_ANYWAY

    async def _tell_again(self) -> None:
        """Let the latest record of each document in the last rows of every group go out once more, in its order."""
        self._tell_again_at = None
        if not self._documents:
            return
        for row in await self._database.read(_LATEST, self._documents, _TOLD_AGAIN):
            self._groups[row["grp"]].tell_again(row)

    # -- the cursor's rows ---------------------------------------------------------------------------------------

    async def _save_when_due(self) -> None:
        since = time.monotonic() - self._saved_at
        if since >= _RENEW_EVERY or (since >= _SAVE_EVERY and self._moved()):
            await self._save()

    def _moved(self) -> list[Group]:
        return [group for group in self._groups.values() if group.row() != group.kept]

    async def _save(self) -> None:
        moved = self._moved()
        rows = [group.row() for group in moved]
        if failpoints.armed is not None and moved:
            await failpoints.armed.reach("relay.sent")
        await self._lease.save([group.number for group in moved], rows)
        if failpoints.armed is not None and moved:
            await failpoints.armed.reach("relay.saved")
        self._saved_at = time.monotonic()
        for group, row in zip(moved, rows, strict=True):
            group.kept = row
        telemetry.RELAY_HOLES.set(self.holes)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def run(runtime: "Runtime") -> None:
    """The role `relay`: publish, answer those who missed something, make partitions ahead, until the process drains."""
    kafka = options(runtime.settings)
    relay = Relay(
        runtime.database,
        Publisher(runtime.prefix, **kafka),
        runtime.wakeup,
        partitions=runtime.settings.partitions,
        source=naming.source(runtime.prefix, runtime.name),
        documents=[t.name for t in registry.TOPICS if t.kind == "document" and t.owner == runtime.name],
    )
    resending = Publisher(runtime.prefix, **kafka)
    answers = Answers(runtime.database, resending, runtime.name, runtime.prefix)
    runtime.health.ready_when("kafka", answers.silent)
    tasks = [
        asyncio.create_task(relay.run(runtime.stopping)),
        asyncio.create_task(
            answers.run(runtime.stopping, group_instance_id=runtime.settings.instance or None, **kafka)
        ),
        asyncio.create_task(upkeep.run(runtime.database, relay, runtime.stopping)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await resending.close()
