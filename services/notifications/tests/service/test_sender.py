"""From an event to a mail at a real mail server, over real PostgreSQL: sent once, its outcome always visible."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.asked import Asked
from chassis.clock import utc_now
from chassis.database import Database
from chassis.decider import Decider
from chassis.decision import SYSTEM, Actor, TimerDue
from chassis.documents import Documents, Reference
from chassis.history import facts_of, folded, history
from chassis.ids import new_id
from chassis.schema import upgrade
from chassis.writing import Writer
from contracts import intake, workflow
from notifications import store
from notifications.deciders import THREADS
from notifications.domain import messages, records
from notifications.domain.state import Thread
from notifications.sender.role import Desk, Sender
from notifications.sender.smtp import MailServer
from testkit.eventually import eventually

pytestmark = pytest.mark.servers

ROOT = UUID("0e6a6f0a-51f2-5f5a-8c5e-0a6a4c7a2f11")
CONTACT, OWNER = uuid5(ROOT, "contact"), uuid5(ROOT, "owner")
FIRST = UUID(int=0)


class Post:
    """A mail server that answers `answers` in turn, then takes everything; it vanishes where an answer is None."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.mails: list[Any] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer is None:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return ""
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return answer


async def _build(url: str) -> None:
    await asyncio.to_thread(
        upgrade,
        "notifications.migrations",
        url=url.replace("postgresql://", "postgresql+asyncpg://", 1),
        schema="public",
        role="",
    )


@pytest_asyncio.fixture
async def database(fresh_database: Any) -> AsyncIterator[Database]:
    fresh = await fresh_database.template("notifications", _build)
    database = Database(fresh.url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def documents(database: Database) -> Documents:
    known = Documents(
        database,
        (
            Reference.of(intake.Contact, records.Contact, cached=False),
            Reference.of(workflow.Person, records.Person, cached=True),
        ),
    )
    contact = {"contact_id": CONTACT, "name": "Jane", "email": "jane@example.com", "version": 1}
    person = {"person_id": OWNER, "name": "Olaf", "email": "olaf@example.org", "active": True, "version": 1}
    await known.store(
        [
            ("contact", str(CONTACT), 1, orjson.dumps(contact).decode()),
            ("person", str(OWNER), 1, orjson.dumps(person).decode()),
        ]
    )
    return known


@pytest.fixture
def decider(database: Database, documents: Documents) -> Decider[Thread]:
    return Decider(THREADS, database, documents, Writer("notifications", 12, {}))


@asynccontextmanager
async def sending(
    database: Database, documents: Documents, decider: Decider[Thread], post: Post, senders: int = 1
) -> AsyncIterator[None]:
    """Senders at work against a mail server on a free port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(post, hostname="localhost", loop=loop), "127.0.0.1", 0)
    there = MailServer("127.0.0.1", server.sockets[0].getsockname()[1], timeout=5.0)
    stopping = asyncio.Event()
    desk = Desk("desk@example.org", "https://help.example.org")
    running = [
        asyncio.create_task(Sender(database, documents, decider, desk, there, 4).run(stopping)) for _ in range(senders)
    ]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*running)
        server.close()


def asked(request: UUID, message: Any) -> Asked:
    return Asked(subject=request, message=message, id=new_id(), actor=SYSTEM, correlation_id=request)


def opening(request: UUID) -> messages.Open:
    cause = messages.Cause(uuid5(request, "opened"), "workflow.requests", 1)
    return messages.Open(cause, "R-000123", CONTACT, "The printer smokes", OWNER, None, True)


async def standing(database: Database, request: UUID) -> list[tuple[str, str, int | None]]:
    rows = await store.of_request(database, request, FIRST, 100)
    return sorted((row["template"], row["status"], row["attempts"]) for row in rows)


def stands(database: Database, request: UUID, *wanted: tuple[str, str, int | None]) -> Callable[[], Any]:
    async def probe() -> bool:
        return await standing(database, request) == sorted(wanted)

    return probe


async def test_S116_received_and_closed_reach_the_contact_and_a_breach_the_owner(
    database: Database, documents: Documents, decider: Decider[Thread]
) -> None:
    post, request = Post(), new_id()
    closed = messages.Cause(uuid5(request, "closed"), "workflow.requests", 3)
    breached = messages.Cause(uuid5(request, "breached"), "workflow.requests", 2)
    await decider.handle_batch(
        [
            asked(request, opening(request)),
            asked(request, messages.TellBreached(breached, utc_now(), 5)),
            asked(request, messages.TellClosed(closed, "resolved")),
        ]
    )
    done = [(name, "accepted", 1) for name in ("received", "breached", "closed")]
    async with sending(database, documents, decider, post):
        await eventually(stands(database, request, *done), within=10)
    assert sorted((mail["To"], mail["Subject"].split(":")[0]) for mail in post.mails) == [
        ("jane@example.com", "R-000123 received"),
        ("jane@example.com", "R-000123 resolved"),
        ("olaf@example.org", "R-000123 is over its time"),
    ]
    thread = folded(THREADS, facts_of(THREADS, await history(database, request)))
    assert thread is not None
    assert thread.mails == ()


async def test_many_senders_send_each_message_once(
    database: Database, documents: Documents, decider: Decider[Thread]
) -> None:
    post, requests = Post(), [new_id() for _ in range(150)]
    await decider.handle_batch([asked(request, opening(request)) for request in requests])

    async def all_accepted() -> Any:
        return len(await store.all_deliveries(database, "accepted", FIRST, 200)) == len(requests)

    async with sending(database, documents, decider, post, senders=3):
        await eventually(all_accepted, within=30)
    ids = [mail["Message-ID"] for mail in post.mails]
    assert len(ids) == len(set(ids)) == len(requests)


async def test_a_temporary_answer_is_followed_by_another_attempt_five_seconds_later(
    database: Database, documents: Documents, decider: Decider[Thread]
) -> None:
    post, request = Post("451 later"), new_id()
    await decider.handle(asked(request, opening(request)))
    async with sending(database, documents, decider, post):
        await eventually(stands(database, request, ("received", "planned", 1)), within=10)
        before = utc_now()
        await eventually(stands(database, request, ("received", "accepted", 2)), within=15)
        assert utc_now() - before > timedelta(seconds=4)
    assert len(post.mails) == 1


async def test_a_refusal_for_good_is_visible_and_repeated_by_an_operator_alone(
    database: Database, documents: Documents, decider: Decider[Thread]
) -> None:
    post, request = Post("550 no such user"), new_id()
    await decider.handle(asked(request, opening(request)))
    async with sending(database, documents, decider, post):
        await eventually(stands(database, request, ("received", "refused", 1)), within=10)
        (refused,) = await store.all_deliveries(database, "refused", FIRST, 10)
        assert (refused["reason"], refused["detail"]) == ("smtp-550", "550 no such user")
        operator = Actor("person", OWNER, frozenset({"notifications:write"}))
        retry = messages.Retry(refused["message_id"], "the mailbox exists now", operator)
        assert (await decider.handle(asked(request, retry))).refused is None
        await eventually(stands(database, request, ("received", "accepted", 2)), within=10)


async def test_a_connection_that_drops_after_the_mail_leaves_it_unknown_and_unsent(
    database: Database, documents: Documents, decider: Decider[Thread]
) -> None:
    post, request, other = Post(None), new_id(), new_id()
    await decider.handle(asked(request, opening(request)))
    async with sending(database, documents, decider, post):
        await eventually(stands(database, request, ("received", "unknown", 1)), within=10)
        await decider.handle(asked(other, opening(other)))
        await eventually(stands(database, other, ("received", "accepted", 1)), within=10)
    assert await standing(database, request) == [("received", "unknown", 1)]


async def test_an_attempt_whose_sender_died_is_unknown_when_its_time_is_up(
    database: Database, documents: Documents, decider: Decider[Thread]
) -> None:
    post, request, other = Post(), new_id(), new_id()
    await decider.handle(asked(request, opening(request)))
    (planned,) = await store.of_request(database, request, FIRST, 10)
    await decider.handle(asked(request, messages.Start(planned["message_id"])))
    wakes = await database.read("SELECT at FROM wake WHERE subject = $1", request)
    assert len(wakes) == 1
    await decider.handle(asked(request, TimerDue("outcome", str(planned["message_id"]), wakes[0]["at"])))
    async with sending(database, documents, decider, post):
        await decider.handle(asked(other, opening(other)))
        await eventually(stands(database, other, ("received", "accepted", 1)), within=10)
    assert await standing(database, request) == [("received", "unknown", 1)]
    assert len(post.mails) == 1


async def test_what_is_due_is_given_to_one_sender_only(database: Database, decider: Decider[Thread]) -> None:
    requests = [new_id() for _ in range(40)]
    await decider.handle_batch([asked(request, opening(request)) for request in requests])
    taken = await asyncio.gather(*(store.take_due(database, 10) for _ in range(6)))
    given = [message for some in taken for _, message in some]
    assert all(len(some) <= 10 for some in taken)
    assert len(given) == len(set(given)) == len(requests)


async def test_a_contact_finds_what_was_sent_to_them_and_nobody_elses(
    database: Database, decider: Decider[Thread]
) -> None:
    request = new_id()
    breached = messages.Cause(uuid5(request, "breached"), "workflow.requests", 2)
    await decider.handle(asked(request, opening(request)))
    await decider.handle(asked(request, messages.TellBreached(breached, utc_now(), 5)))
    mine = await store.of_request_to_contact(database, request, CONTACT, FIRST, 10)
    assert [row["template"] for row in mine] == ["received"]
    assert await store.of_request_to_contact(database, request, OWNER, FIRST, 10) == []
