"""Around the reading back of a restored schema: nobody else at work, numbers raised, offsets back, cursors forward."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.provision import Names
from chassis.recalling import CannotRecover

SKIPPED = 1000
"""Numbers of a series that allows gaps, left out: those given to callers whose facts nobody published."""
_LEFT_WITHIN, _LOOK_EVERY = 40.0, 0.5
_MARK = "restored to (ms)"

_SESSIONS = (
    "SELECT usename, count(*) FROM pg_stat_activity WHERE usename = ANY($1::text[]) AND datname = current_database() "
    "GROUP BY usename ORDER BY usename"
)
_MAY_ENTER = "SELECT coalesce(bool_or(rolcanlogin), false) FROM pg_roles WHERE rolname = ANY($1::text[])"
_MARKED = (
    "INSERT INTO series AS s (name, last) SELECT $1, (extract(epoch FROM coalesce($2::timestamptz, to_timestamp(0))) "
    "* 1000)::bigint ON CONFLICT (name) DO UPDATE SET last = s.last RETURNING to_timestamp(s.last / 1000.0)"
)
_UNMARKED = "DELETE FROM series WHERE name = $1"
_NEWEST = "SELECT max(recorded_at) FROM journal"
_SEQUENCES = (
    "SELECT c.relname FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = current_schema()::regnamespace "
    "AND c.relname !~ '^journal_seq_' "
    "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i')) ORDER BY c.relname"
)
_RAISED = "SELECT setval($1::text::regclass, greatest((SELECT last_value FROM {name}), $2))"
_SERIES = (
    "INSERT INTO series AS s (name, last) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE "
    "SET last = greatest(s.last, excluded.last)"
)
_LAST = "SELECT last FROM series WHERE name = $1"
_JOURNAL_NUMBERS = (
    "SELECT setval(('journal_seq_' || grp)::regclass, max(seq)) FROM journal GROUP BY grp "
    "HAVING max(seq) > (SELECT coalesce(pg_sequence_last_value(('journal_seq_' || grp)::regclass), 0))"
)
_UNSENT = (
    "SELECT j.grp, j.seq, j.event_id, j.topic, j.key, j.sequence FROM relay_cursor c JOIN journal j ON j.grp = c.grp "
    "AND (j.seq > c.high OR j.seq = ANY(c.holes)) WHERE j.topic IS NOT NULL ORDER BY j.grp, j.seq"
)
_GROUPS = "INSERT INTO relay_cursor (grp) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING"
_CURSORS = (
    "UPDATE relay_cursor c SET high = coalesce((SELECT max(seq) FROM journal j WHERE j.grp = c.grp), c.high), "
    "holes = coalesce(u.holes, '{}'), hole_xmax = ARRAY(SELECT '0' FROM unnest(u.holes)) "
    "FROM relay_cursor k LEFT JOIN (SELECT grp, array_agg(seq ORDER BY seq) AS holes FROM unnest($1::smallint[], "
    "$2::bigint[]) AS v(grp, seq) GROUP BY grp) u ON u.grp = k.grp WHERE c.grp = k.grp"
)


class StillUp(CannotRecover):
    """Processes of the service are at work; stop them first."""


@dataclass(frozen=True)
class Published:
    """What stands on the service's own topics: ids of facts, and the highest number of each document's key."""

    ids: set[UUID] = field(default_factory=set)
    documents: dict[tuple[str, str], int] = field(default_factory=dict)

    def has(self, row: Any) -> bool:
        """Whether a row of the journal went out, itself or as a later state of the same document."""
        newest = self.documents.get((row["topic"], row["key"]))
        return row["event_id"] in self.ids or (newest is not None and newest >= (row["sequence"] or 0))


async def shut_out(admin: asyncpg.Connection, names: Names, kafka: Mapping[str, Any], groups: Iterable[str]) -> None:
    """Take the service's logins their right to enter. Raises StillUp while a process of it is connected or consumes.

    They stay shut out when this is killed in the middle: a service must not run on half of its facts. Whatever is
    raised here, they may enter as they might before, since nothing has been changed yet.
    """
    entered: bool = await admin.fetchval(_MAY_ENTER, [names.app, names.relay])
    await _logins(admin, names, "NOLOGIN")
    try:
        await _nobody_connected(admin, names)
        await _nobody_consumes(kafka, groups)
    except BaseException:
        if entered:
            await let_in(admin, names)
        raise


async def let_in(admin: asyncpg.Connection, names: Names) -> None:
    """Let the service's processes enter again."""
    await _logins(admin, names, "LOGIN")


async def _logins(admin: asyncpg.Connection, names: Names, what: str) -> None:
    for login in (names.app, names.relay):
        await admin.execute(f'ALTER ROLE "{login}" {what}')


async def _nobody_connected(admin: asyncpg.Connection, names: Names) -> None:
    sessions = await admin.fetch(_SESSIONS, [names.app, names.relay])
    if sessions:
        who = ", ".join(f"{login} ({count} connections)" for login, count in sessions)
        raise StillUp(f"{names.service} is up: {who}; stop all of its processes first")


async def _nobody_consumes(kafka: Mapping[str, Any], groups: Iterable[str]) -> None:
    """Return once these consumer groups have no members: one that was stopped under its own name is one for 20 s more.

    Raises StillUp when one keeps members for longer.
    """
    admin, deadline = AIOKafkaAdminClient(**kafka), time.monotonic() + _LEFT_WITHIN
    await admin.start()
    try:
        for group in groups:
            while members := await _members(admin, group):
                if time.monotonic() > deadline:
                    raise StillUp(f"the consumer group {group} has {members} member(s); stop what consumes there")
                await asyncio.sleep(_LOOK_EVERY)
    finally:
        await admin.close()


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    [answer] = await admin.describe_consumer_groups([group])
    return sum(len(found[5]) for found in answer.groups)


async def restored_to(connection: asyncpg.Connection) -> datetime:
    """The moment of the last fact that the restore brought back, kept until the recovery is done."""
    newest = await connection.fetchval(_NEWEST)
    found: datetime = await connection.fetchval(_MARKED, _MARK, newest)
    return found


async def raise_numbers(
    connection: asyncpg.Connection, used: Mapping[str, Collection[int]]
) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Put every series beyond what was used: (where each stands, what a gap-free one misses).

    Of a series that allows gaps some more numbers are left out.
    """
    raised: dict[str, int] = {}
    missing: dict[str, list[int]] = {}
    sequences = [name for (name,) in await connection.fetch(_SEQUENCES)]
    for name in sequences:
        last = await connection.fetchval(f'SELECT last_value FROM "{name}"')
        wanted = max(*used.get(name, ()), last, 0) + SKIPPED
        raised[name] = await connection.fetchval(_RAISED.format(name=f'"{name}"'), name, wanted)
    for name in sorted(used.keys() - set(sequences)):
        last = await connection.fetchval(_LAST, name) or 0
        raised[name] = max(last, *used[name])
        missing[name] = sorted(set(range(last + 1, raised[name])) - set(used[name]))
        await connection.execute(_SERIES, name, raised[name])
    await connection.execute(_JOURNAL_NUMBERS)
    return raised, {name: numbers for name, numbers in missing.items() if numbers}


async def move_cursors(connection: asyncpg.Connection, partitions: int, published: Published) -> int:
    """Let the relay go on behind everything; what never went out is kept to be sent. How many rows that are."""
    await connection.execute(_GROUPS, partitions)
    unsent = [(row["grp"], row["seq"]) for row in await connection.fetch(_UNSENT) if not published.has(row)]
    await connection.execute(_CURSORS, [grp for grp, _ in unsent], [seq for _, seq in unsent])
    await connection.execute(_UNMARKED, _MARK)
    return len(unsent)


async def rewind(kafka: Mapping[str, Any], group: str, wanted: Mapping[TopicPartition, int]) -> int:
    """Let a group hear again from these offsets on, where it is beyond; how many partitions went back."""
    if not wanted:
        return 0
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **kafka)
    await consumer.start()
    try:
        consumer.assign(list(wanted))
        back = {}
        for place, offset in wanted.items():
            committed = await consumer.committed(place)
            if committed is not None and committed > offset:
                back[place] = offset
        if back:
            await consumer.commit(back)
    finally:
        await consumer.stop()
    return len(back)
