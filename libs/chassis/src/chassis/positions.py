"""Waiting for what is on its way: `Throughline-Position` names a fact to be heard first, `Prefer: wait` a time."""

import asyncio
import re
import time
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from sqlalchemy import Table, bindparam, select

from chassis.aggregate import Aggregate
from chassis.database import Statement, statement
from chassis.problems import Problem

if TYPE_CHECKING:
    from chassis.service import Runtime

MOST_SECONDS = 10.0
_USUAL_SECONDS = 5.0
_POSITION = re.compile(r"^([a-z]+)\.([a-z.-]+)/([0-9a-f-]{36})@(\d{1,18})$")
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)


def position(aggregate: Aggregate[Any], subject: UUID, sequence: int) -> str:
    """What a write answers in `Throughline-Position`: `<topic>/<subject>@<sequence>`, topic without prefix."""
    return f"{told_on(aggregate)}/{subject}@{sequence}"


@cache
def _heard_by(table: Table) -> Statement:
    return statement(select(table.c.sequence, table.c.heard).where(table.c.id == bindparam("id")))


def told_on(aggregate: Aggregate[Any]) -> str:
    """The topic that an aggregate tells on; for one that only notes, its name."""
    return next((kind.topic for kind in aggregate.codec.kinds if kind.topic), aggregate.name)


def seconds_of(prefer: str | None) -> float:
    """The time of `Prefer: wait=…`, at most 10 s; 0 without it."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MOST_SECONDS) if found else 0.0


async def reach(runtime: "Runtime", wanted: str, prefer: str | None) -> None:
    """Return once this service has heard (or told) the position; raises the 503 when it takes too long."""
    found = _POSITION.match(wanted)
    if found is None:
        raise Problem("bad-header", "Throughline-Position is no position")
    topic, subject, sequence = f"{found[1]}.{found[2]}", found[3], int(found[4])
    deadline = time.monotonic() + (seconds_of(prefer) or _USUAL_SECONDS)
    while not await _reached(runtime, topic, subject, sequence):
        if time.monotonic() >= deadline:
            raise Problem("position-not-reached", f"{wanted} is not heard here yet", headers={"retry-after": "1"})
        await asyncio.sleep(0.05)


async def _reached(runtime: "Runtime", topic: str, subject: str, sequence: int) -> bool:
    """Whether an aggregate of this service has told or heard so far, or its table of documents holds it."""
    try:
        identifier = UUID(subject)
    except ValueError:
        raise Problem("bad-header", "Throughline-Position names no id") from None
    for aggregate in runtime.service.aggregates:
        for row in await runtime.database.fetch(_heard_by(aggregate.table), id=identifier):
            told = int(row["sequence"]) if told_on(aggregate) == topic else 0
            if max(told, int(orjson.loads(row["heard"]).get(topic, 0))) >= sequence:
                return True
    kinds = [each.kind for each in runtime.service.references if each.topic == topic]
    if kinds:
        query = "SELECT 1 FROM documents WHERE kind = ANY($1::text[]) AND id = $2 AND sequence >= $3"
        return bool(await runtime.database.read(query, kinds, subject, sequence))
    return False
