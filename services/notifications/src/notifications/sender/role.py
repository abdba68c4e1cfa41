"""The sender's loop: take what is due, let the decider start the attempt, talk SMTP outside any transaction, report.

A process that dies in between leaves an attempt without a report: the thread's agenda makes it unknown, and it is
never sent again by itself.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import structlog

from chassis.asked import Asked, Outcome, UnknownOutcome
from chassis.clock import utc_now
from chassis.database import Database, Unavailable
from chassis.decider import Decider
from chassis.decision import SYSTEM
from chassis.documents import Documents
from chassis.ids import new_id
from chassis.service import Runtime
from notifications import store
from notifications.deciders import THREADS
from notifications.domain import messages
from notifications.domain.state import CONTACT, Thread
from notifications.sender import smtp
from notifications.sender.mails import Started, addressee, make
from notifications.sender.rendering import Unsendable

LOOK_EVERY = 0.5
IN_HAND = 3
"""Messages in hand per connection: while one is sent, the next is started and the last one's outcome is written."""
AHEAD = 6
"""Due messages taken per connection; what is taken and not started comes back by itself after 15 s."""
REPORT_AGAIN = (0.1, 0.5, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0)
"""Within the time that an attempt may stay open; after it the message is unknown, whatever became of the mail."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Desk:
    """What mails say of us: the address they come from, and where requests are seen."""

    address: str
    portal: str | None = None


class Sender:
    """One process's sender: a few connections to the mail server, fed from what is due."""

    def __init__(
        self,
        database: Database,
        documents: Documents,
        decider: Decider[Thread],
        desk: Desk,
        server: smtp.MailServer,
        connections: int = 8,
    ) -> None:
        self._database = database
        self._documents = documents
        self._decider = decider
        self._desk = desk
        self._server = server
        self._connections = connections
        self._due: asyncio.Queue[tuple[UUID, UUID] | None] = asyncio.Queue()
        self._idle: asyncio.Queue[smtp.Connection] = asyncio.Queue()

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until the process is to stop; mails in hand are finished and reported first."""
        async with AsyncExitStack() as ends, asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                self._idle.put_nowait(await ends.enter_async_context(smtp.Connection(self._server)))
            for _ in range(self._connections * IN_HAND):
                group.create_task(self._work())
            while not stopping.is_set():
                if not await self._fill():
                    await _pause(stopping)
            while not self._due.empty():
                self._due.get_nowait()
            for _ in range(self._connections * IN_HAND):
                self._due.put_nowait(None)

    async def _fill(self) -> bool:
        """Take what is due, while there is room; whether there may be more to take at once."""
        room = self._connections * AHEAD - self._due.qsize()
        if room < self._connections:
            await asyncio.sleep(0.005)
            return True
        try:
            taken = await store.take_due(self._database, room)
        except Unavailable as away:
            log.warning("nothing_taken", error=str(away))
            return False
        for one in taken:
            self._due.put_nowait(one)
        return len(taken) == room

    async def _work(self) -> None:
        while (taken := await self._due.get()) is not None:
            await self.send_one(*taken)

    async def send_one(self, request: UUID, message: UUID) -> None:
        """One message, if it is still to be sent: start, send, report."""
        try:
            outcome = await self._ask(request, message, messages.Start(message))
        except (Unavailable, UnknownOutcome) as away:
            log.warning("attempt_not_started", subject=str(request), message_id=str(message), error=str(away))
            return
        started = Started.of(orjson.loads(outcome.answer)) if outcome.answer else None
        if started is not None:
            await self._report(started, await self._try(started))

    async def _try(self, started: Started) -> Any:
        """What to report of an attempt. Until the mail is handed over, every fault is one that may be tried again."""
        documents = self._documents
        try:
            contact = await self._contact(started)
            await documents.refresh()
        except Unavailable as away:
            return messages.Failed(started.message_id, started.attempt, f"no address could be read: {away}")
        people = documents.all("person")
        who = addressee(started, contact, lambda person: documents.cached("person", str(person)), people)
        if who is None:
            return messages.Unaddressed(started.message_id, started.attempt)
        try:
            mail = make(started, who, self._desk.address, self._desk.portal, utc_now())
        except Unsendable as why:
            return messages.Rejected(started.message_id, started.attempt, "unsendable", str(why)[:300])
        connection = await self._idle.get()
        try:
            return _report_of(started, await connection.send(self._desk.address, who.addresses, mail))
        finally:
            self._idle.put_nowait(connection)

    async def _contact(self, started: Started) -> Any:
        if started.recipient_kind != CONTACT:
            return None
        return await store.contact(self._database, started.recipient_id)

    async def _report(self, started: Started, report: Any) -> None:
        for pause in (0.0, *REPORT_AGAIN):
            await asyncio.sleep(pause)
            try:
                await self._ask(started.request_id, started.message_id, report)
            except (Unavailable, UnknownOutcome) as away:
                log.warning(
                    "outcome_not_reported",
                    subject=str(started.request_id),
                    message_id=str(started.message_id),
                    error=str(away),
                )
            else:
                return

    async def _ask(self, request: UUID, message: UUID, asked: Any) -> Outcome:
        outcome = await self._decider.handle(
            Asked(subject=request, message=asked, id=new_id(), actor=SYSTEM, correlation_id=message)
        )
        if outcome.refused is not None or outcome.error is not None:
            why = repr(outcome.refused or outcome.error)
            log.error("message_not_decided", subject=str(request), message_id=str(message), error=why)
        return outcome


def _report_of(started: Started, outcome: smtp.Outcome) -> Any:
    """What the mail server did, as the thread hears it."""
    message, attempt = started.message_id, started.attempt
    match outcome:
        case smtp.Accepted():
            return messages.Accepted(message, attempt)
        case smtp.Later(reason):
            return messages.Failed(message, attempt, reason)
        case smtp.Refused(code, reason):
            return messages.Rejected(message, attempt, f"smtp-{code}", reason)
        case smtp.Lost():
            return messages.Lost(message, attempt)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), LOOK_EVERY)
    except TimeoutError:
        return


async def sender(runtime: Runtime) -> None:
    """The role `sender`."""
    settings: Any = runtime.settings
    server = smtp.MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.smtp_username,
        settings.smtp_password,
        settings.smtp_timeout,
    )
    desk = Desk(settings.mail_from, settings.portal_url)
    decider = runtime.deciders[THREADS.name]
    await Sender(runtime.database, runtime.documents, decider, desk, server, settings.senders).run(runtime.stopping)
