"""What operators look at and do over HTTP: messages that wait, letting them be tried again, catching up from others."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from chassis import asking, deadletters, redelivering, skipping, waiting
from chassis.auth import Caller
from chassis.http import CallerDep, DatabaseDep, PageDep, Routes, RuntimeDep
from chassis.paging import Listed
from chassis.problems import Problem
from contracts.fields import Reason

SCOPE = "operate"


class Waits(BaseModel):
    """One message that waits, why, and until when. `next_at` null: an operator has to decide."""

    id: int
    aggregate: str
    subject: UUID
    kind: str
    stream: str | None
    sequence: int | None
    reason: str
    detail: str
    attempts: int
    first_at: datetime
    next_at: datetime | None
    message: str | None
    record: str | None


class Dead(BaseModel):
    """A record that belongs to no request which could wait for it."""

    id: int
    reason: str
    detail: str
    topic: str | None
    partition: int | None
    kafka_offset: int | None
    subject: UUID | None
    first_at: datetime
    value: str | None


class Because(BaseModel):
    """Why an operator does it; kept with the message."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class Done(BaseModel):
    """It is done."""

    subject: UUID | None = None


class Retried(BaseModel):
    """How many messages are tried again now."""

    messages: int


class AskedFor(BaseModel):
    """What was asked for: the position by stream after which everything comes again.

    A stream is missing that was asked for less than ten seconds ago.
    """

    streams: dict[str, int]


class Bootstrap(BaseModel):
    """Of which streams everything is asked for; of all that the service hears when none is named."""

    model_config = ConfigDict(extra="forbid")

    streams: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=20)] = ()


class Bootstrapped(BaseModel):
    """The streams that were asked for; what they told comes marked as history."""

    streams: list[str]


def routes(service: str) -> Routes:
    """The operators' routes of one service."""
    router = Routes(service)
    _waiting(router)
    _dead_letters(router)
    _catching_up(router, service)
    return router


def _waiting(router: Routes) -> None:
    @router.get("/waiting", scope=SCOPE, summary="Messages that wait, oldest first")
    async def listed(
        database: DatabaseDep, page: PageDep, subject: Annotated[UUID | None, Query()] = None
    ) -> Listed[Waits]:
        after = page.after_as(int)
        rows = await waiting.listed(database, subject=subject, after=after[0] if after else 0, limit=page.fetch)
        return page.of([_view(row) for row in rows], key=lambda row: row.id)

    @router.post("/waiting/{subject}/retry", scope=SCOPE, summary="Try now what waits for a request")
    async def retry(subject: UUID, database: DatabaseDep) -> Retried:
        return Retried(messages=await waiting.retry(database, subject))

    @router.post("/waiting/{identifier}/skip", scope=SCOPE, summary="Pass over a message that waits")
    async def skip(identifier: int, because: Because, caller: CallerDep, runtime: RuntimeDep) -> Done:
        return Done(subject=await skipping.skip(runtime, identifier, _signed(caller, because)))


def _dead_letters(router: Routes) -> None:
    @router.get("/dead-letters", scope=SCOPE, summary="Records that nobody can read, oldest first")
    async def dead(database: DatabaseDep, page: PageDep) -> Listed[Dead]:
        after = page.after_as(int)
        rows = await deadletters.listed(database, after=after[0] if after else 0, limit=page.fetch)
        return page.of([_dead(row) for row in rows], key=lambda row: row.id)

    @router.post("/dead-letters/{identifier}/resolve", scope=SCOPE, summary="Put a dead letter away")
    async def resolve(identifier: int, because: Because, caller: CallerDep, database: DatabaseDep) -> Done:
        if not await deadletters.resolve(database, identifier, _signed(caller, because)):
            raise Problem("not-found")
        return Done()

    @router.post("/dead-letters/{identifier}/redeliver", scope=SCOPE, summary="Let a dead letter be decided after all")
    async def redeliver(identifier: int, because: Because, caller: CallerDep, runtime: RuntimeDep) -> Done:
        return Done(subject=await redelivering.redeliver(runtime, identifier, _signed(caller, because)))


def _catching_up(router: Routes, service: str) -> None:
    @router.post("/resend/{subject}", scope=SCOPE, summary="Ask other services for what is missing of a request")
    async def resend(subject: UUID, runtime: RuntimeDep) -> AskedFor:
        return AskedFor(streams=await asking.missing(runtime, subject))

    @router.post("/bootstrap", scope=SCOPE, summary="Ask other services for everything they ever told")
    async def bootstrap(wanted: Bootstrap, runtime: RuntimeDep) -> Bootstrapped:
        stream = runtime.service.stream
        heard = () if stream is None else stream.topics
        unheard = {f"/streams/{n}": "not heard here" for n, name in enumerate(wanted.streams) if name not in heard}
        if unheard:
            raise Problem.invalid(unheard)
        streams = sorted(set(wanted.streams or heard))
        await asking.bootstrap(runtime.database, service, runtime.settings.partitions, streams)
        return Bootstrapped(streams=streams)


def _signed(caller: Caller, because: Because) -> str:
    """The reason and who gave it."""
    return f"{because.reason} ({caller.actor.kind} {caller.actor.id})"


def _dead(row: Any) -> Dead:
    return Dead(**{name: row[name] for name in Dead.model_fields if name != "value"}, value=row["value_text"])


def _view(row: Any) -> Waits:
    fields = {name: row[name] for name in Waits.model_fields if name != "record"}
    return Waits(**fields, record=row["record_text"])
