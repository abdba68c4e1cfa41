"""Callers who look: reads between the steps of a life, and lists; planned with the life, and played like its steps.

Who acted last looks at the request, in the service that took the act or in one that must have heard of it: with the
position that the act was answered with, a read waits until it has.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from cli.demo.organisation import APPROVERS, CONTACTS
from cli.demo.player import Player
from cli.demo.scenario import Life, Step
from testkit.chaos.operations import Operation, Position, RecordingDoors

DOORS: Final = {
    "intake": "/requests/{}",
    "workflow": "/requests/{}",
    "billing": "/requests/{}/charges",
    "approvals": "/requests/{}/approvals",
}
"""Where each service shows how a request stands."""
_TAKEN_BY: Final = {"submit": "intake", "charge": "billing", "approve": "approvals", "refuse": "approvals"}
"""The services that take acts which are not workflow's."""
_HEARS: Final = {
    "intake": ("workflow",),
    "workflow": ("intake", "billing"),
    "billing": ("workflow",),
    "approvals": ("workflow",),
}
"""Who hears what a service tells, and shows some of it."""
_HERE_THERE_LIST: Final = (36, 2, 2)
"""How often one looks in the service that was asked, in another one, and at a list."""
_PAGE: Final = 50
_CONTACTS: Final = frozenset(contact.login for contact in CONTACTS)
_APPROVERS: Final = frozenset(approver.login for approver in APPROVERS)
_FOR_STAFF: Final = frozenset({"billing", "approvals"})
"""Services that show contacts nothing of this."""


def heard_at(service: str, last: Operation | None) -> Position | None:
    """The position that a read of a service can wait for, of what was accepted last: None where it is never heard."""
    return last.position if last is not None and service in (last.place, *_HEARS.get(last.place, ())) else None


def with_looks(chance: random.Random, life: Life, often: float) -> Life:
    """The same life, whose people look after that part of their acts, the submission included."""
    return replace(life, steps=tuple(_steps(chance, life, often)))


def with_last_look(chance: random.Random, life: Life) -> Life:
    """The same life, at whose end whoever acted last looks."""
    last = life.steps[-1] if life.steps else _submission(life)
    return replace(life, steps=(*life.steps, _look(chance, last)))


def _steps(chance: random.Random, life: Life, often: float) -> Iterator[Step]:
    for n, step in enumerate((_submission(life), *life.steps)):
        if n:
            yield step
        if chance.random() < often:
            yield _look(chance, step)


def _submission(life: Life) -> Step:
    """What comes before the steps of a life; the other system cannot look, so the contact does."""
    return Step("submit", life.contact if life.by == "crm" else life.by)


def _look(chance: random.Random, after: Step) -> Step:
    who, taken_by = after.who, _TAKEN_BY.get(after.what, "workflow")
    place = chance.choices(("here", "there", "list"), _HERE_THERE_LIST)[0]
    if place == "list":
        service = chance.choice(("intake", "workflow")) if who in _CONTACTS else "workflow"
        closed = {"closed": "true"} if service == "workflow" and chance.random() < 0.3 else {}
        return Step("list", who, {"service": service, "query": closed})
    if place == "there":
        taken_by = chance.choice([each for each in _HEARS[taken_by] if _is_shown(who, each)] or [taken_by])
    return Step("read", who, {"service": taken_by})


def _is_shown(who: str, service: str) -> bool:
    """Whether a service shows somebody what they acted on: approvers see no request but their team's."""
    if who in _APPROVERS:
        return service == "approvals"
    return who not in _CONTACTS or service not in _FOR_STAFF


class Looking(Player):
    """A player of lives whose people look."""

    def __init__(self, doors: RecordingDoors, *arguments: Any) -> None:
        super().__init__(doors, *arguments)
        self._recording = doors

    async def _read(self, request: UUID, key: str, step: Step) -> None:
        """Where no position was answered, nobody but who took the last act must know of it: so it is asked there."""
        last = self._recording.operations.last[request]
        service = str(step.data["service"]) if last.position is not None else last.place
        path = DOORS[service].format(request)
        await self._recording.get_at(last.position, step.who, service, path)

    async def _list(self, request: UUID, key: str, step: Step) -> None:
        query: Any = step.data["query"]
        await self._doors.get(step.who, str(step.data["service"]), "/requests", limit=_PAGE, **query)
