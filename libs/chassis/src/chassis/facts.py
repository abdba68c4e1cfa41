"""`GET /<service>/v1/facts`: the facts told about a subject, in order, for partners, traces and reconciliation."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Query, Response

from chassis import naming
from chassis.aggregate import Aggregate
from chassis.auth import Caller
from chassis.history import told
from chassis.http import ANY_CALLER, CallerDep, Routes, RuntimeDep
from chassis.problems import Problem

SCOPE = "facts:read"
_LIMIT = 200


def routes(service: str, aggregates: Sequence[Aggregate[Any]]) -> Routes:
    """The route of one service: facts of any topic that its aggregates tell on, of its stream when none is named."""
    router = Routes(service)
    kinds = [kind for aggregate in aggregates for kind in aggregate.codec.kinds if kind.topic]
    topics = {kind.topic for kind in kinds}
    stream = next((kind.topic for kind in kinds if kind.document is None), None)

    @router.get("/facts", scope=ANY_CALLER, summary="Facts told about a subject, in order")
    async def facts(
        caller: CallerDep,
        runtime: RuntimeDep,
        subject: UUID,
        after: Annotated[int, Query(ge=0, description="The last sequence you have.")] = 0,
        topic: Annotated[str, Query(max_length=100)] = stream or "",
        limit: Annotated[int, Query(ge=1, le=_LIMIT)] = _LIMIT,
    ) -> Response:
        if topic not in topics:
            raise Problem("not-found")
        await _may_see(caller, runtime, subject if topic == stream else None)
        rows = await told(runtime.database, subject, topic, after=after, limit=limit)
        source = naming.source(runtime.prefix, service)
        return Response(
            orjson.dumps({"items": [event(row, source) for row in rows]}, default=str, option=orjson.OPT_UTC_Z),
            media_type="application/json",
        )

    return router


async def _may_see(caller: Caller, runtime: Any, request_id: UUID | None) -> None:
    """Refuse who has not the scope, unless it is about a request that the service lets them see."""
    sees = runtime.service.sees
    if SCOPE in caller.actor.rights:
        return
    if sees is None or request_id is None:
        caller.require(SCOPE)
    elif not await sees(caller, request_id, runtime.database):
        raise Problem("not-found")


def event(row: Any, source: str) -> dict[str, Any]:
    """A row of the journal as a structured CloudEvent; a tombstone has no data."""
    data = None
    if row["data"] is not None:
        data = orjson.loads(row["data"]) | (orjson.loads(row["personal"]) if row["personal"] else {})
    said = {
        "specversion": "1.0",
        "id": row["event_id"],
        "source": source,
        "type": f"{row['type']}.v{row['version']}",
        "subject": row["key"],
        "time": row["occurred_at"],
        "topic": row["topic"],
        "sequence": row["sequence"],
        "correlationid": row["correlation_id"],
        "causationid": row["causation_id"],
        "hop": row["hop"],
        "traceparent": row["traceparent"],
        "actor": orjson.loads(row["actor"]) if row["actor"] else None,
        "data": data,
    }
    return {name: value for name, value in said.items() if value is not None}
