"""The journal read back: what happened to a request, and the facts that its state is the fold of."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, any_, bindparam, select

from chassis.aggregate import Aggregate
from chassis.database import Database, statement
from chassis.tables import journal

_OF_SUBJECT = statement(
    select(journal)
    .where(journal.c.subject == bindparam("subject"), journal.c.seq > bindparam("after"))
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)
_OF_AGGREGATE = statement(
    select(journal)
    .where(
        journal.c.subject == bindparam("subject"),
        journal.c.seq > bindparam("after"),
        journal.c.type == any_(bindparam("types", type_=ARRAY(Text))),
    )
    .order_by(journal.c.seq)
    .limit(bindparam("limit"))
)
_TOLD = statement(
    select(journal)
    .where(
        journal.c.subject == bindparam("subject"),
        journal.c.topic == bindparam("topic"),
        journal.c.sequence > bindparam("after"),
    )
    .order_by(journal.c.sequence)
    .limit(bindparam("limit"))
)


async def history(database: Database, subject: UUID, *, after: int = 0, limit: int = 200) -> list[asyncpg.Record]:
    """Rows of the journal about one subject, told and noted, oldest first; `after` is the last row's `seq`."""
    return await database.fetch(_OF_SUBJECT, subject=subject, after=after, limit=limit)


async def lived(
    database: Database, aggregate: Aggregate[Any], subject: UUID, *, after: int = 0, limit: int = 200
) -> list[asyncpg.Record]:
    """The same, of the facts of one aggregate alone: another kind of thing may have the same id."""
    types = sorted(aggregate.codec.types)
    return await database.fetch(_OF_AGGREGATE, subject=subject, types=types, after=after, limit=limit)


async def told(
    database: Database, subject: UUID, topic: str, *, after: int = 0, limit: int = 200
) -> list[asyncpg.Record]:
    """Facts about one subject as they went out on a topic, in the order of their sequence."""
    return await database.fetch(_TOLD, subject=subject, topic=topic, after=after, limit=limit)


def facts_of(aggregate: Aggregate[Any], rows: Sequence[asyncpg.Record]) -> list[Any]:
    """The domain facts of journal rows that belong to this aggregate."""
    codec = aggregate.codec
    return [
        codec.decode(row["type"], row["version"], row["data"], row["personal"], row["private"])
        for row in rows
        if codec.reads(row["type"], row["version"])
    ]


def folded(aggregate: Aggregate[Any], facts: Sequence[Any]) -> Any | None:
    """The state that these facts make."""
    state = None
    for fact in facts:
        state = aggregate.evolve(state, fact)
    return state
