"""Playing a plan: many cases at once, one command of each at a time, each answered before the next."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from cli.importing.exchange import Answer, Exchange, Fact
from cli.importing.plan import Case, Command, Plan
from cli.importing.standing import OPENED, Fate, Standing

AT_ONCE = 1200
"""Cases with a command on its way."""
SETUP_AT_ONCE = 2000
AGAIN_AFTER = 30.0
"""Seconds after which a command without an answer is sent again, under the same id."""
OPEN_AFTER = 60.0
"""Seconds after which a request that was not seen open is commanded all the same; workflow holds the unknown."""
GIVE_UP_AFTER = 300.0
"""Seconds without any answer at all after which what is left counts as unanswered."""


@dataclass(slots=True)
class Run:
    """A case being played. `next` counts the commands that are behind it; -1 is the submission."""

    case: Case
    fate: Fate = field(default_factory=Fate)
    next: int = -1
    opened: bool = False
    waits_since: float | None = None

    def command(self) -> Command | None:
        """What is to be sent next; None when there is no more."""
        if self.next < 0:
            return self.case.submission
        return self.case.commands[self.next] if self.next < len(self.case.commands) else None


class Player:
    """Plays one plan over an exchange. `progress(n)` is called for each command that is done with."""

    def __init__(
        self,
        plan: Plan,
        exchange: Exchange,
        rate: float | None = None,
        progress: Callable[[int], None] = lambda n: None,
    ) -> None:
        self._plan = plan
        self._exchange = exchange
        self._progress = progress
        self._pace = Pace(rate)
        self.runs = {str(case.request_id): Run(case) for case in plan.cases}
        self.standings: dict[str, Standing] = {}
        self.foreign: set[str] = set()
        self.setup: Counter[str] = Counter()
        self.mine: str | None = None
        self._known: dict[UUID, Answer] = {}
        self._pending: dict[UUID, tuple[Run | None, Command, float]] = {}
        self._outbox: deque[Command] = deque()
        self._waiting: dict[str, Run] = {}
        self._active = 0
        self._heard_at = time.monotonic()

    async def play(self) -> None:
        """Send everything and hear every answer; returns when nothing is on its way, or nothing comes any more."""
        await self._remember()
        await self._prepare()
        longest_first = iter(sorted(self.runs.values(), key=lambda run: -len(run.case.commands)))
        self._begin(longest_first)
        while self._active and not self._given_up():
            await self._step()
            self._begin(longest_first)
        for run, _, _ in self._pending.values():
            if run is not None:
                run.fate.unanswered += 1
        await self._catch_up()

    async def _remember(self) -> None:
        """Answers of an earlier run: what they answer is not sent again."""
        wanted = {command.id for command in self._plan.setup} | {
            command.id for case in self._plan.cases for command in (case.submission, *case.commands)
        }
        async for answers in self._exchange.earlier():
            self._known.update((answer.command, answer) for answer in answers if answer.command in wanted)

    async def _prepare(self) -> None:
        """Send what cases refer to, and hear all of it."""
        left = deque(self._plan.setup)
        while (left or self._pending) and not self._given_up():
            while left and len(self._pending) < SETUP_AT_ONCE:
                command = left.popleft()
                if (known := self._known.get(command.id)) is not None:
                    self._set_up(known)
                else:
                    self._send(None, command)
            await self._step()

    def _set_up(self, answer: Answer) -> None:
        self.setup[answer.refused or "accepted"] += 1

    def _begin(self, cases: Iterator[Run]) -> None:
        while self._active < AT_ONCE and (run := next(cases, None)) is not None:
            self._active += 1
            self._advance(run)

    def _advance(self, run: Run) -> None:
        """Send the case's next command, past those that were answered before; or be done with it."""
        while (command := run.command()) is not None and run.fate.submitted is not False:
            known = self._known.get(command.id)
            if known is None:
                if run.next >= 0 and not self._is_open(run):
                    return
                self._send(run, command)
                return
            run.opened = True
            self._answered(run, command, known)
        self._active -= 1

    def _is_open(self, run: Run) -> bool:
        """Whether its request was seen open; if not, it waits for that."""
        subject = str(run.case.request_id)
        standing = self.standings.get(subject)
        if run.opened or (standing is not None and standing.opened):
            return True
        run.waits_since = time.monotonic()
        self._waiting[subject] = run
        return False

    def _send(self, run: Run | None, command: Command) -> None:
        self._pending[command.id] = (run, command, time.monotonic())
        self._outbox.append(command)

    def _answered(self, run: Run, command: Command, answer: Answer) -> None:
        if run.next < 0:
            run.fate.submitted = answer.refused is None
        if answer.refused is not None:
            run.fate.refusals.append((command.type, answer.refused))
        run.next += 1
        self._progress(1)

    async def _step(self) -> None:
        await self._flush()
        answers, facts = await self._exchange.receive()
        for fact in facts:
            self._hear(fact)
        for answer in answers:
            self._take(answer)
        self._overdue()

    async def _flush(self) -> None:
        self._outbox.extend(self._exchange.failed)
        self._exchange.failed.clear()
        for _ in range(self._pace.allowed(len(self._outbox))):
            await self._exchange.send(self._outbox.popleft())

    def _take(self, answer: Answer) -> None:
        found = self._pending.pop(answer.command, None)
        if found is None:
            return
        self._heard_at = time.monotonic()
        run, command, _ = found
        if run is None:
            self._set_up(answer)
        else:
            self._answered(run, command, answer)
            self._advance(run)

    def _hear(self, fact: Fact) -> None:
        run = self.runs.get(fact.subject)
        if run is None:
            return
        standing = self.standings.setdefault(fact.subject, Standing())
        standing.hear(fact.type, fact.sequence, fact.time, fact.data)
        if fact.actor is not None and fact.actor.startswith(("person:", "contact:")):
            self.foreign.add(fact.subject)
        if fact.type == OPENED or standing.rejected:
            self._heard_at = time.monotonic()
            run.opened = True
            if self._waiting.pop(fact.subject, None) is not None:
                self._advance(run)

    def _overdue(self) -> None:
        """Send again what has no answer, and go on with requests that were not seen open for long."""
        now = time.monotonic()
        for subject, run in list(self._waiting.items()):
            if run.waits_since is not None and now - run.waits_since > OPEN_AFTER:
                del self._waiting[subject]
                run.opened = True
                self._advance(run)
        if self._outbox:
            return
        for identifier, (run_, command, sent) in self._pending.items():
            if now - sent > AGAIN_AFTER:
                self._pending[identifier] = (run_, command, now)
                self._outbox.append(command)

    def _given_up(self) -> bool:
        return time.monotonic() - self._heard_at > GIVE_UP_AFTER

    async def _catch_up(self) -> None:
        """Hear the facts up to the last answer, which may come a moment after it."""
        for _ in range(3):
            await asyncio.sleep(0.5)
            async for facts in self._exchange.rest():
                for fact in facts:
                    self._hear(fact)


class Pace:
    """At most so many a second, evenly; None is as fast as it goes."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._from = time.monotonic()
        self._sent = 0

    def allowed(self, wanted: int) -> int:
        """How many of `wanted` may go now."""
        if self._rate is None:
            return wanted
        now = time.monotonic()
        budget = int((now - self._from) * self._rate) - self._sent
        allowed = max(0, min(wanted, budget))
        self._sent += allowed
        if allowed == wanted:
            self._from, self._sent = now, 0
        return allowed
