"""Named places at which a test may kill or pause its process; in an ordinary process `armed` is None and nothing more.

A caller writes `if failpoints.armed is not None: await failpoints.armed.reach("relay.sent")`.
"""

import asyncio
import os
import re
import signal
from dataclasses import dataclass

import structlog

POINTS = {
    "batch.decided": "in the middle of a batch: decided, and nothing of it written",
    "commit.before": "the statement of a batch is about to be sent, or its transaction about to be committed",
    "commit.after": "the batch is committed, and nobody has been told",
    "group.committed": "a group commit is done, and its callers have no answer yet",
    "offsets.before": "a batch is applied, and its offsets are not committed",
    "offsets.after": "the offsets are committed",
    "relay.sent": "records are on Kafka, and the relay's cursor does not know",
    "relay.saved": "the relay's cursor is saved",
    "agenda.locked": "a sweep holds the rows of what is due, and has decided nothing",
    "agenda.swept": "a sweep has written, and not committed",
}
"""Every failpoint, and where its process stands when it is reached."""

log = structlog.get_logger(__name__)

_SPEC = re.compile(r"(?P<name>[a-z.]+)=(?:(?P<kill>kill)|pause\((?P<seconds>\d+(?:\.\d+)?)\))(?:@(?P<passage>\d+))?")


class WrongFailpoint(ValueError):
    """What is written in the setting is no failpoint."""


@dataclass(frozen=True)
class Action:
    """What happens at the `passage`-th time that a failpoint is reached: kill -9, or a pause of so many seconds."""

    passage: int
    pause: float | None


class Armed:
    """The failpoints of this process and how often each has been reached."""

    def __init__(self, actions: dict[str, Action]) -> None:
        self._actions = actions
        self._passages: dict[str, int] = {}

    async def reach(self, name: str) -> None:
        """Do what is armed here, once; a kill does not return."""
        action = self._actions.get(name)
        if action is None:
            return
        self._passages[name] = passage = self._passages.get(name, 0) + 1
        if passage != action.passage:
            return
        log.warning("failpoint_reached", name=name, pause=action.pause)
        if action.pause is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            await asyncio.sleep(action.pause)


armed: Armed | None = None
"""None in every process but a test's."""


def parse(text: str) -> dict[str, Action]:
    """`relay.sent=kill@7,commit.after=pause(2.5)`: which failpoints do what, at which passage (the first without one).

    Raises WrongFailpoint.
    """
    actions: dict[str, Action] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _SPEC.fullmatch(part)
        if found is None:
            raise WrongFailpoint(f"{part!r} is not NAME=kill[@n] or NAME=pause(SECONDS)[@n]")
        name, passage = found["name"], int(found["passage"] or 1)
        if name not in POINTS:
            raise WrongFailpoint(f"there is no failpoint {name!r}")
        if passage < 1 or name in actions:
            raise WrongFailpoint(f"{part!r} counts from 1, and each failpoint is armed once")
        actions[name] = Action(passage, None if found["kill"] else float(found["seconds"]))
    return actions


def arm(text: str) -> None:
    """Arm this process as the setting says; with an empty one it stays an ordinary process."""
    global armed
    actions = parse(text)
    armed = Armed(actions) if actions else None
