"""The role `timers`: sweeps the agenda and what waits, erases who is to be erased, until the process drains."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

from chassis import housekeeping, inbound, stream, waiting, watching
from chassis.agenda import Agenda
from chassis.asked import Asked
from chassis.asking import Asking
from chassis.database import AWAY, LOST, Unavailable
from chassis.erasing import Eraser
from chassis.service import messages_of
from chassis.waiting import Reactions, Revive

if TYPE_CHECKING:
    from chassis.service import Runtime


log = structlog.get_logger(__name__)

_AGAIN_AFTER = 5.0


class _Stopped(Exception):
    """The process drains; no sweep is in hand."""


class _UntilStopping:
    """Wake-ups, and between two sweeps the end."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    async def wait(self, seconds: float) -> None:
        """Wait for a wake-up, so long at most; raises _Stopped once the process drains."""
        if seconds > 0 and not self._runtime.stopping.is_set():
            await self._runtime.wakeup.wait(seconds)
        if self._runtime.stopping.is_set():
            raise _Stopped


def revive_of(runtime: "Runtime") -> Revive:
    """Reads back a row of the table of waiting messages, whichever door it came through."""
    reactions = Reactions(messages_of(runtime.service))

    def revive(row: Any) -> Asked:
        if row["kind"] == "reaction":
            return reactions.revive(row)
        if row["kind"] == "command":
            return inbound.revive(runtime.service.commands, row, runtime.settings.body_limit)
        return stream.revive(runtime, row)

    return revive


async def run(runtime: "Runtime") -> None:
    """Sweep until `runtime.stopping`; a sweep in hand is finished first."""
    asking = Asking(runtime.database, runtime.name, runtime.settings.partitions)
    agenda = Agenda(
        runtime.database, runtime.deciders, revive_of(runtime), on_outcome=lambda _, outcome: asking.after([outcome])
    )
    eraser = Eraser(runtime.database, runtime.deciders)
    works = {
        "watching": lambda: watching.run(runtime),
        "housekeeping": lambda: housekeeping.run(runtime),
        "erasing": lambda: eraser.run(runtime.stopping),
        "reading anew": lambda: _read_anew(runtime),
    }
    beside = [asyncio.create_task(_kept_up(name, work)) for name, work in works.items()]
    try:
        await agenda.run(_UntilStopping(runtime))
    except _Stopped:
        return
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _read_anew(runtime: "Runtime") -> None:
    """Once, when this process begins: an older release could not read some of what waits."""
    while not runtime.stopping.is_set():
        try:
            await waiting.read_anew(runtime.database)
        except (Unavailable, *AWAY, *LOST):
            await asyncio.sleep(_AGAIN_AFTER)
        else:
            return


async def _kept_up(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Let a work beside the sweep run to its end; one that fails is reported and begun again."""
    while True:
        try:
            return await work()
        except Exception:
            log.exception("work_beside_failed", work=name, again_in=_AGAIN_AFTER)
        await asyncio.sleep(_AGAIN_AFTER)
