"""Where a restored schema stands on the streams that it hears: from which record of each partition on it lacks some."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from chassis.applying import columns_of
from chassis.asked import Asked
from chassis.recollecting import fact_of
from chassis.rereading import Rereader
from chassis.stream import ear_of

if TYPE_CHECKING:
    from chassis.service import Runtime

STRETCH = 500
"""Records of a partition that are looked at first; each stretch before is twice as long."""
_PAGE = 500
_LACKING = (
    "SELECT u.n FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::uuid[]) WITH ORDINALITY "
    "AS u(subject, stream, sequence, event_id, n) LEFT JOIN {table} t ON t.id = u.subject "
    "WHERE coalesce((t.heard ->> u.stream)::bigint, 0) < u.sequence "
    "AND NOT EXISTS (SELECT 1 FROM waiting w WHERE w.subject = u.subject AND w.event_id = u.event_id)"
)


async def first_unheard(runtime: "Runtime", reader: Rereader, since: datetime) -> dict[TopicPartition, int]:
    """An offset of each partition of the streams: all before it was heard, or waits. At the latest where `since` lies.

    A partition is heard in order, so it is gone back through until a stretch has facts and lacks none. What was sent
    again because somebody asked bears the times of the first telling: there it is gone back from the end.
    """
    stream = runtime.service.stream
    if stream is None:
        return {}
    told, resent = await reader.places(stream.topics), await reader.places([f"{runtime.name}.resent"])
    found = {**await reader.since(told, since), **await reader.ends(resent)}
    beginnings, left, length = await reader.since([*found], None), dict(found), STRETCH
    while left:
        begins = {place: max(beginnings[place], end - length) for place, end in left.items()}
        having, lacking = await _compared(runtime, reader.between(begins, left))
        found |= {place: begins[place] for place in lacking}
        left = {place: at for place, at in begins.items() if at > beginnings[place] and place not in having - lacking}
        length *= 2
    return found


async def _compared(runtime: "Runtime", records: AsyncIterator[Any]) -> tuple[set[TopicPartition], set[TopicPartition]]:
    """The partitions that have facts, and those of them that have facts which this schema lacks."""
    ear, page = ear_of(runtime), list[tuple[TopicPartition, Asked]]()
    having, lacking = set[TopicPartition](), set[TopicPartition]()
    async for record in records:
        asked = fact_of(ear, record)
        if asked is not None:
            place = TopicPartition(record.topic, record.partition)
            having.add(place)
            page.append((place, asked))
        if len(page) == _PAGE:
            lacking |= await _lacking(runtime, page)
            page = []
    return having, lacking | await _lacking(runtime, page)


async def _lacking(runtime: "Runtime", page: Sequence[tuple[TopicPartition, Asked]]) -> set[TopicPartition]:
    stream = runtime.service.stream
    assert stream is not None
    if not page:
        return set()
    facts = [(asked.subject, asked.stream, asked.sequence, asked.id) for _, asked in page]
    rows = await runtime.database.read(_LACKING.format(table=stream.into.table.name), *columns_of(facts))
    return {page[row["n"] - 1][0] for row in rows}
