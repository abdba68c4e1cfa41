"""Plays a scenario through the public doors: HTTP for people, inbound topics for the other system."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from cli.demo.crm import Crm
from cli.demo.organisation import APPROVERS, CONTACTS, NAMESPACE, TEAM_OF, identity
from cli.demo.scenario import Life, Step
from cli.door import Doors, Refused, Unanswered
from contracts import billing, intake, workflow
from contracts.base import Command

_PREFER = 10
_BY_TOPIC: dict[str, type[Command]] = {
    "take-over": workflow.TakeOver,
    "progress": workflow.Progress,
    "ask": workflow.Progress,
    "regress": workflow.Regress,
    "note": workflow.AddNote,
    "message": workflow.PostMessage,
    "wait": workflow.Wait,
    "resume": workflow.Resume,
    "close": workflow.Close,
    "reopen": workflow.Reopen,
    "charge": billing.LogCharge,
}
_CONTACTS = frozenset(contact.login for contact in CONTACTS)
_PATIENCE = 90.0


class Player:
    """Plays many lives at once, each one's steps in order. A step without an answer counts as unanswered."""

    def __init__(self, doors: Doors, crm: Crm, run: str, tick: Callable[[], None]) -> None:
        self._doors = doors
        self._crm = crm
        self._run = run
        self._tick = tick
        self.steps = 0
        self.unanswered: list[str] = []
        self.refused: Counter[str] = Counter()
        self.submitted = 0
        self._revisions: dict[UUID, int] = {}

    async def play(self, lives: Sequence[Life], at_once: int = 192) -> None:
        """Play all lives, at most `at_once` at a time."""
        queue = iter(lives)

        async def one_after_the_other() -> None:
            for life in queue:
                await self._live(life)
                self._tick()

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))

    async def _live(self, life: Life) -> None:
        try:
            request = await self._submit(life)
            self.submitted += 1
            for n, step in enumerate(life.steps):
                await self._step(life, request, n, step)
                self.steps += 1
        except Unanswered as error:
            self.unanswered.append(f"life {life.n}: {error}")
        except Refused as error:
            self.refused[error.slug] += 1
            self.unanswered.append(f"life {life.n}: {error}")

    def _key(self, life: Life, name: str) -> str:
        return str(uuid5(NAMESPACE, f"{self._run}/{life.n}/{name}"))

    async def _submit(self, life: Life) -> UUID:
        body: dict[str, Any] = {
            "contact_id": str(identity(life.contact)),
            "queue": life.queue,
            "summary": life.summary,
            "description": f"{life.summary}. Please call before you come.",
            "impact": life.impact,
            "urgency": life.urgency,
        }
        if life.late_minutes:
            received = datetime.now(UTC) - timedelta(minutes=life.late_minutes)
            body["received_at"] = received.isoformat()
        if life.by == "crm":
            body["team_id"] = str(identity(TEAM_OF[life.queue]))
            key = self._key(life, "submit")
            return UUID((await self._crm.command(intake.Submit, uuid5(NAMESPACE, key), body, key))["request_id"])
        return await self._submit_by_hand(life, body)

    async def _submit_by_hand(self, life: Life, body: dict[str, Any]) -> UUID:
        """Over HTTP; a queue that was published a moment ago may not be known to intake yet."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                answer = await self._doors.post(life.by, "intake", "/requests", body, key=self._key(life, "submit"))
            except Refused as refused:
                if refused.status != 404 or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return UUID(str(answer.body["request_id"]))

    async def _step(self, life: Life, request: UUID, n: int, step: Step) -> None:
        key = self._key(life, f"step/{n}")
        if life.by == "crm" and step.what in _BY_TOPIC:
            await self._by_topic(request, key, step)
            return
        act = getattr(self, "_" + step.what.replace("-", "_"), None)
        if act is not None:
            await act(request, key, step)
            return
        paths = {"note": "notes", "message": "messages"}
        path = f"/requests/{request}/{paths.get(step.what, step.what)}"
        await self._doors.post(step.who, "workflow", path, step.data, key=key, wait=_PREFER)

    async def _by_topic(self, request: UUID, key: str, step: Step) -> None:
        kind = "contact" if step.who in _CONTACTS else "person"
        body = {**self._seen(request, step), "actor": {"kind": kind, "id": str(identity(step.who))}}
        answer = await self._crm.command(_BY_TOPIC[step.what], request, body, key)
        if step.what == "charge":
            self._revisions[request] = answer["revision"]

    def _seen(self, request: UUID, step: Step) -> dict[str, Any]:
        """A step's body; a resolved close says which charges the closer saw."""
        if step.data.get("outcome") == "resolved" and request in self._revisions:
            return {**step.data, "charge_revision": self._revisions[request]}
        return dict(step.data)

    async def _regress(self, request: UUID, key: str, step: Step) -> None:
        path = f"/requests/{request}"
        etag = (await self._doors.get(step.who, "workflow", path)).etag
        await self._doors.post(step.who, "workflow", f"{path}/regress", step.data, key=key, etag=etag)

    async def _ask(self, request: UUID, key: str, step: Step) -> None:
        """Progress out of a gated stage: it asks for the approval and does not move yet."""
        await self._doors.post(step.who, "workflow", f"/requests/{request}/progress", {}, key=key, wait=_PREFER)

    async def _approve(self, request: UUID, key: str, step: Step) -> None:
        await self._vote(request, key, step.who, "approve")

        async def moved() -> bool:
            return bool((await self._request(request))["stage"] != "Assess")

        await self._until(moved, f"{request} to move after its approval")

    async def _refuse(self, request: UUID, key: str, step: Step) -> None:
        """Any one of them could still grant it: it is refused when all of them have said no."""
        for person in APPROVERS:
            await self._vote(request, f"{key}/{person.login}", person.login, "refuse")

        async def settled() -> bool:
            return (await self._request(request))["approval"] is None

        await self._until(settled, f"{request} to hear the refusal")

    async def _request(self, request: UUID) -> dict[str, Any]:
        found = await self._doors.get("lucia.rossi", "workflow", f"/requests/{request}")
        body: dict[str, Any] = found.body
        return body

    async def _vote(self, request: UUID, key: str, who: str, decision: str) -> None:
        open_ones: list[dict[str, Any]] = []

        async def asked() -> bool:
            found = await self._doors.get(who, "approvals", f"/requests/{request}/approvals")
            open_ones[:] = [each for each in found.body["items"] if each["outcome"] is None]
            return bool(open_ones)

        await self._until(asked, f"the approval of {request}")
        body = {"approval_id": open_ones[0]["approval_id"], "decision": decision, "comment": "Seen."}
        await self._doors.post(who, "approvals", f"/requests/{request}/decisions", body, key=key)

    async def _charge(self, request: UUID, key: str, step: Step) -> None:
        path = f"/requests/{request}/charges"
        answer = await self._doors.post(step.who, "billing", path, step.data, key=key, wait=_PREFER)
        self._revisions[request] = answer.body["revision"]

    async def _close(self, request: UUID, key: str, step: Step) -> None:
        path = f"/requests/{request}/close"
        await self._doors.post(step.who, "workflow", path, self._seen(request, step), key=key, wait=_PREFER)

    async def _until(self, probe: Callable[[], Any], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        pause = 0.1
        while not await probe():
            if asyncio.get_running_loop().time() > deadline:
                raise Unanswered(f"waited {_PATIENCE:.0f} s for {what}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
