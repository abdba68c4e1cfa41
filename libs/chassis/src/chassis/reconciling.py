"""`GET /<service>/v1/reconciliation`: a service's books for operators, and the orphans that it knows of by itself.

A service alone cannot know what it never heard. So each tells what it told, how far it heard and what waits, in bounded
pages, and whoever asks all of them joins it: `throughline reconcile`.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Query, Response
from pydantic import AwareDatetime, BaseModel

from chassis import books, orphans, paging
from chassis.http import DatabaseDep, PageDep, Routes, RuntimeDep
from chassis.operating import SCOPE
from chassis.orphans import Orphan
from chassis.paging import Listed
from chassis.partition import partition_of
from chassis.problems import Problem

ROWS = 500
"""Rows of the journal behind a page, at most."""
YOUNG, YEAR = 60, 31_536_000
"""Seconds: what is younger than the first is still on its way unless asked otherwise; the most that can be asked."""
_FIRST = 0


class Standing(BaseModel):
    """What of this service is still on its way, by its own schema; how far it is behind on Kafka, Kafka knows."""

    service: str
    at: datetime
    partitions: int
    tells: str | None
    hears: list[str]
    unsent_since: datetime | None
    due_since: datetime | None
    waiting: int
    waiting_since: datetime | None
    dead_letters: int


class Booked(BaseModel):
    """A fact that was told: `data` has the fields alone that reconciliation needs, none of them personal.

    `sent` says whether the relay has published it.
    """

    topic: str
    type: str
    subject: UUID
    sequence: int
    id: UUID
    time: datetime
    told_at: datetime
    sent: bool
    data: dict[str, Any]


class Told(BaseModel):
    """One page of what was told. It may be empty although `next` leads on: rows behind it were of other kinds."""

    items: list[Booked]
    next: str | None


class Held(BaseModel):
    """A message of one request that waits, or a dead letter, with the id of the fact that it is.

    `kind` says what waits: a fact of a `stream`, which holds up what was told after it, a client's `command`, or a
    `reaction` of this service to what it decided. A dead letter has none.
    """

    id: int
    kind: str | None = None
    event_id: UUID | None
    stream: str | None = None
    sequence: int | None = None
    reason: str
    detail: str
    first_at: datetime
    next_at: datetime | None = None
    resolved_at: datetime | None = None


class Account(BaseModel):
    """Where one request stands here: whether its row is here, how far it has told and heard, what is held up."""

    request_id: UUID
    known: bool
    sequence: int
    heard: dict[str, int]
    blocked: str | None
    waiting: list[Held]
    dead_letters: list[Held]


def routes(service: str) -> Routes:
    """The routes of one service."""
    router = Routes(service)
    _standing(router)
    _orphans(router)
    _told(router)
    _account(router)
    return router


def _standing(router: Routes) -> None:
    @router.get("/reconciliation", scope=SCOPE, summary="What of this service is still on its way")
    async def standing(runtime: RuntimeDep) -> Standing:
        partitions = runtime.settings.partitions
        found = await books.standing(runtime.database, partitions)
        stream = runtime.service.stream
        return Standing(
            service=runtime.name,
            partitions=partitions,
            tells=_own_stream(runtime),
            hears=[] if stream is None else list(stream.topics),
            **dict(found),
        )


def _orphans(router: Routes) -> None:
    @router.get("/reconciliation/orphans", scope=SCOPE, summary="What had no effect here so far, and what mends it")
    async def found(
        runtime: RuntimeDep,
        page: PageDep,
        older_than: Annotated[int, Query(ge=0, le=YEAR, description="Seconds; what is younger is on its way.")] = YOUNG,
    ) -> Listed[Orphan]:
        rows = await orphans.listed(runtime, after=page.after, limit=page.fetch, older_than=older_than)
        return page.show(rows, lambda row: orphans.view(runtime, row), key=lambda row: row.key)


def _told(router: Routes) -> None:
    @router.get("/reconciliation/facts", scope=SCOPE, summary="What was told, page by page", response_model=Told)
    async def told(
        runtime: RuntimeDep,
        partition: Annotated[int | None, Query(ge=0, description="Of one partition of the stream.")] = None,
        request: Annotated[UUID | None, Query(description="Of one request instead.")] = None,
        since: Annotated[AwareDatetime | None, Query(description="Told since then; with `partition`.")] = None,
        after: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=ROWS, description="Rows of the journal behind a page.")] = ROWS,
    ) -> Response:
        if (partition is None) is (request is None):
            raise Problem.invalid({"/partition": "name either a partition or a request"})
        seq = _after(after)
        if request is not None:
            rows = await books.of_subject(runtime.database, request, after=seq, limit=limit)
        else:
            assert partition is not None
            _check(partition, runtime.settings.partitions)
            if since is not None and after is None:
                seq = await books.before(runtime.database, partition, since)
            rows = await books.of_partition(runtime.database, partition, after=seq, limit=limit)
        return _page(rows, limit, _own_stream(runtime))


def _account(router: Routes) -> None:
    @router.get("/reconciliation/requests/{request_id}", scope=SCOPE, summary="Where one request stands here")
    async def account(request_id: UUID, runtime: RuntimeDep, database: DatabaseDep) -> Account:
        stream = runtime.service.stream
        aggregate = runtime.service.aggregates[0] if stream is None else stream.into
        row = await books.row_of(database, aggregate, request_id)
        topics = [] if stream is None else [*stream.topics, f"{runtime.name}.resent"]
        partition = partition_of(str(request_id).encode(), runtime.settings.partitions)
        letters = await books.letters_of(database, topics, partition, request_id)
        return Account(
            request_id=request_id,
            known=row is not None,
            sequence=0 if row is None else row["sequence"],
            heard={} if row is None else orjson.loads(row["heard"]),
            blocked=None if row is None else row["blocked"],
            waiting=[Held(**dict(each)) for each in await books.waiting_of(database, request_id)],
            dead_letters=[Held(event_id=event_id, **dict(each)) for event_id, each in letters],
        )


def _own_stream(runtime: Any) -> str | None:
    """The topic of this service whose subjects are requests."""
    stream = runtime.service.stream
    aggregate = runtime.service.aggregates[0] if stream is None else stream.into
    return next((kind.topic for kind in aggregate.codec.kinds if kind.topic), None)


def _check(partition: int, partitions: int) -> None:
    if partition >= partitions:
        raise Problem.invalid({"/partition": f"there are {partitions}, counted from 0"})


def _after(cursor: str | None) -> int:
    if cursor is None:
        return _FIRST
    found = paging.decode(cursor)
    if len(found) != 1 or type(found[0]) is not int:
        raise Problem("bad-cursor", "the cursor belongs to another list")
    return found[0]


def _page(rows: list[Any], limit: int, stream: str | None) -> Response:
    """Rows of the service's own stream as they go into the books; a full page leads on behind its last row."""
    items = [
        {
            "topic": row["topic"],
            "type": row["type"],
            "subject": row["subject"],
            "sequence": row["sequence"],
            "id": row["event_id"],
            "time": row["occurred_at"],
            "told_at": row["recorded_at"],
            "sent": row["sent"],
            "data": books.body_of(row),
        }
        for row in rows
        if row["topic"] == stream and stream is not None
    ]
    following = paging.encode((rows[-1]["seq"],)) if len(rows) == limit else None
    return Response(
        orjson.dumps({"items": items, "next": following}, default=str, option=orjson.OPT_UTC_Z),
        media_type="application/json",
    )
