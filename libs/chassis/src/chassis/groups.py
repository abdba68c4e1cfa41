"""One group of the journal as the relay sees it: its cursor, and its rows under way, topic by topic."""

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.holes import UNSENT, Cursor, saved
from chassis.lanes import Lane
from chassis.lease import Kept
from chassis.publishing import COLUMNS

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MARGIN = timedelta(days=1)
"""How far behind what is known a poll looks: it lets PostgreSQL leave old partitions alone."""
_MOST_UNSENT = 10_000
"""A group with so many rows that cannot be sent, or may still appear, is not read on."""

POLL = (
    "SELECT r.*, s.xmin, s.xmax, s.now FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, "
    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax, statement_timestamp() AS now) s LEFT JOIN LATERAL ("
    f"(SELECT j.* FROM unnest($1::smallint[], $2::bigint[]) g(grp, high) CROSS JOIN LATERAL (SELECT {COLUMNS} "
    "FROM journal j WHERE j.grp = g.grp AND j.seq > g.high AND j.recorded_at >= $5 ORDER BY j.seq LIMIT $7) j) "
    f"UNION ALL (SELECT {COLUMNS} FROM unnest($3::smallint[], $4::bigint[]) h(grp, seq) "
    "JOIN journal j ON j.grp = h.grp AND j.seq = h.seq AND j.recorded_at >= $6)) r ON true"
)


class Group:
    """What the relay knows of one group."""

    def __init__(self, number: int, cursor: Cursor, make_lane: Callable[[str], Lane]) -> None:
        self.number = number
        self.cursor = Cursor(cursor.high, {n: stamp for n, stamp in cursor.holes.items() if stamp != UNSENT})
        self.inherited = {n for n, stamp in cursor.holes.items() if stamp == UNSENT}
        """Numbers that a relay before this one read and got no acknowledgement for; not read again yet."""
        self.lanes: dict[str, Lane] = {}
        self.floor = BEGINNING
        """Nothing above the cursor was recorded before this."""
        self.kept: Kept = saved(cursor)
        """What its row says."""
        self._holes_since = BEGINNING
        self._polled_at = BEGINNING
        """By the database's clock, as every row is recorded: this process's may be days ahead."""
        self._make_lane = make_lane

    @property
    def unsent(self) -> list[int]:
        """Numbers that were read and are not acknowledged."""
        return [*self.inherited, *(n for lane in self.lanes.values() for n in lane.unsent)]

    @property
    def full(self) -> bool:
        """Whether it must not be read on: too much cannot be sent, or may still appear, or is inherited."""
        return bool(self.inherited) or len(self.cursor.holes) + len(self.unsent) > _MOST_UNSENT

    def row(self) -> Kept:
        """What its row should say."""
        return saved(self.cursor, self.unsent)

    def lane(self, topic: str) -> Lane:
        """The lane of a topic."""
        found = self.lanes.get(topic)
        if found is None:
            found = self.lanes[topic] = self._make_lane(topic)
        return found

    def missed(self, ready: set[Lane], most: int) -> list[int]:
        """Numbers below the cursor to look for: those that may still appear, and the first that may be sent again.

        Of the latter `most` of each ready lane, and as many that were inherited.
        """
        again = [n for lane in self.lanes.values() if lane in ready for n in lane.again(most)]
        return [*self.cursor.holes, *heapq.nsmallest(most, self.inherited), *again]

    def missed_since(self, ready: set[Lane]) -> datetime:
        """No row of `missed` was recorded before this."""
        times = [min(lane.unsent.values()) for lane in self.lanes.values() if lane in ready and lane.unsent]
        if self.cursor.holes:
            times.append(self._holes_since)
        if self.inherited:
            times.append(BEGINNING)
        return before(min(times, default=self._polled_at))

    def take(
        self,
        rows: Iterable[Any],
        xmin: int,
        xmax: int,
        ready: set[Lane],
        *,
        now: datetime,
        read: bool,
        asked: Sequence[int],
    ) -> None:
        """Move the cursor over what a poll found, and let ready lanes send it.

        The poll asked for all of `missed` (`asked`) and, if `read`, above the cursor.
        """
        self._polled_at = now
        self.inherited.difference_update(asked)
        was, found = self.cursor, list(rows)
        self.cursor = was.advanced((row["seq"] for row in found), xmin, xmax)
        if self.cursor.holes and not was.holes:
            self._holes_since = now
        taken = sorted((row for row in found if row["seq"] <= self.cursor.high), key=lambda row: row["seq"])
        if read and self.cursor.jump is None:
            self.floor = before(min((row["recorded_at"] for row in taken), default=now))
        self._hand_out(taken, ready, asked)

    def tell_again(self, row: Any) -> None:
        """Let a row that was published go out once more, in its order."""
        number = row["seq"]
        if number <= self.cursor.high and number not in self.cursor.holes and number not in self.inherited:
            self.lane(row["topic"]).unsent[number] = row["recorded_at"]

    def _hand_out(self, rows: Sequence[Any], ready: set[Lane], asked: Sequence[int]) -> None:
        by_topic: dict[str, list[Any]] = {}
        for row in rows:
            if row["topic"] is not None:
                by_topic.setdefault(row["topic"], []).append(row)
        ready.update(self.lane(topic) for topic in by_topic if topic not in self.lanes)
        until = min(self.inherited, default=math.inf)
        for topic, lane in self.lanes.items():
            some = by_topic.get(topic, ())
            if lane in ready:
                lane.take(self.number, some, asked, until)
            else:
                lane.note(some)


def before(moment: datetime) -> datetime:
    """A moment with the margin in which a row may be recorded later than its number was drawn."""
    return max(moment - _MARGIN, BEGINNING) if moment > BEGINNING + _MARGIN else BEGINNING
