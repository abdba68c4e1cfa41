"""Group commit: callers who arrive while a batch is being written are decided together in the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from chassis import failpoints
from chassis.asked import Asked, KeyReused, Outcome

_BATCH = 500

Future = asyncio.Future[Outcome]


class Together:
    """Gathers single messages into batches for `decide`; equal keys in this process share one outcome."""

    def __init__(self, decide: Callable[[Sequence[Asked]], Awaitable[list[Outcome]]]) -> None:
        self._decide = decide
        self._pending: list[tuple[Asked, Future]] = []
        self._in_flight: dict[UUID, tuple[bytes | None, Future]] = {}
        self._runner: asyncio.Task[None] | None = None

    async def handle(self, asked: Asked) -> Outcome:
        """The outcome of one message, after the commit of its batch. Raises what `decide` raises."""
        if asked.remember and (first := self._in_flight.get(asked.id)) is not None:
            return await self._join(asked, *first)
        future: Future = asyncio.get_running_loop().create_future()
        if asked.remember:
            self._in_flight[asked.id] = (asked.request_hash, future)
        self._pending.append((asked, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        try:
            return await asyncio.shield(future)
        finally:
            if future.done():
                self._in_flight.pop(asked.id, None)

    async def _join(self, asked: Asked, hashed: bytes | None, future: Future) -> Outcome:
        if hashed != asked.request_hash:
            return Outcome(asked.subject, refused=KeyReused("this key is in use with other content"))
        first = await asyncio.shield(future)
        return Outcome(
            first.subject, first.answer, first.edit_version, first.sequence, True, first.refused, first.error
        )

    async def _run(self) -> None:
        while self._pending:
            taken, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
            try:
                outcomes = await self._decide([asked for asked, _ in taken])
            except Exception as error:
                for asked, future in taken:
                    self._in_flight.pop(asked.id, None)
                    if not future.cancelled():
                        future.set_exception(error)
                continue
            if failpoints.armed is not None:
                await failpoints.armed.reach("group.committed")
            for (asked, future), outcome in zip(taken, outcomes, strict=True):
                self._in_flight.pop(asked.id, None)
                if not future.cancelled():
                    future.set_result(outcome)
