"""What the sender makes of a real mail server's answers, silence and disappearance."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from chassis.clock import utc_now
from notifications.sender import smtp
from notifications.sender.smtp import Connection, MailServer

MAIL = b"Subject: hello\r\n\r\nhello\r\n"
FROM = "desk@example.org"
JANE = ("jane@example.com",)


@dataclass
class Post:
    """A mail server's mind: what it got, and what it answers to whom."""

    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    recipients: dict[str, str] = field(default_factory=dict)
    data: str | None = None
    vanish: bool = False
    connections: int = 0
    logins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.recipients:
            return self.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.vanish:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return ""
        if self.data:
            return self.data
        assert envelope.mail_from is not None
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.login)
        return AuthResult(success=data.password == b"secret", handled=False)


@asynccontextmanager
async def served(post: Post, **options: Any) -> AsyncIterator[int]:
    """A mail server on a free port."""

    def connected() -> SMTP:
        post.connections += 1
        return SMTP(post, hostname="localhost", loop=asyncio.get_running_loop(), **options)

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def at(port: int, **options: Any) -> MailServer:
    return MailServer("127.0.0.1", port, **{"timeout": 5.0} | options)


async def test_a_mail_that_the_server_takes_is_accepted() -> None:
    post = Post()
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, JANE, MAIL) == smtp.Accepted()
    assert post.mails == [(FROM, ["jane@example.com"], MAIL)]


async def test_many_mails_go_over_one_connection() -> None:
    post = Post()
    async with served(post) as port, Connection(at(port)) as connection:
        for _ in range(20):
            assert await connection.send(FROM, JANE, MAIL) == smtp.Accepted()
    assert (len(post.mails), post.connections) == (20, 1)


async def test_a_temporary_answer_may_be_tried_again_over_the_same_connection() -> None:
    post = Post(data="451 4.3.0 try later")
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, JANE, MAIL) == smtp.Later("451 4.3.0 try later")
        post.data = None
        assert await connection.send(FROM, JANE, MAIL) == smtp.Accepted()
    assert post.connections == 1


async def test_a_permanent_answer_is_a_refusal() -> None:
    post = Post(data="550 5.7.1 no spam here")
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, JANE, MAIL) == smtp.Refused(550, "550 5.7.1 no spam here")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("550 5.1.1 nobody", smtp.Refused(550, "550 5.1.1 nobody")),
        ("450 4.2.1 later", smtp.Later("450 4.2.1 later")),
    ],
)
async def test_a_recipient_that_is_not_taken_decides_for_the_mail(answer: str, outcome: smtp.Outcome) -> None:
    post = Post(recipients={"jane@example.com": answer})
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, JANE, MAIL) == outcome
        assert await connection.send(FROM, ("ann@example.org",), MAIL) == smtp.Accepted()


async def test_one_reachable_member_of_a_team_is_enough() -> None:
    post = Post(recipients={"bob@example.org": "550 nobody"})
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, ("ann@example.org", "bob@example.org"), MAIL) == smtp.Accepted()
    assert post.mails[0][1] == ["ann@example.org"]


async def test_while_any_member_may_be_reached_later_the_mail_is_tried_again() -> None:
    post = Post(recipients={"ann@example.org": "550 nobody", "bob@example.org": "450 later"})
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, ("ann@example.org", "bob@example.org"), MAIL) == smtp.Later("450 later")


async def test_a_connection_that_drops_after_the_mail_was_handed_over_leaves_it_unknown() -> None:
    post = Post(vanish=True)
    async with served(post) as port, Connection(at(port)) as connection:
        assert await connection.send(FROM, JANE, MAIL) == smtp.Lost()
        post.vanish = False
        assert await connection.send(FROM, JANE, MAIL) == smtp.Accepted()


async def test_a_server_that_is_away_is_tried_again() -> None:
    async with served(Post()) as port:
        pass
    async with Connection(at(port)) as connection:
        outcome = await connection.send(FROM, JANE, MAIL)
    assert isinstance(outcome, smtp.Later)


async def test_a_server_that_never_greets_is_tried_again() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Connection(at(port, timeout=0.2)) as connection:
        outcome = await connection.send(FROM, JANE, MAIL)
    await asyncio.wait_for(gone.wait(), 5)
    server.close()
    assert isinstance(outcome, smtp.Later)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(the server's context, the context of a client that trusts its certificate and no other)"""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(_certificate())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


def _certificate() -> bytes:
    """A key and its own certificate for 127.0.0.1, valid for an hour around now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(utc_now() + timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + signed.public_bytes(serialization.Encoding.PEM)


async def test_starttls_and_login_are_done_before_the_mail(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    post = Post()
    options = {"tls_context": tls[0], "require_starttls": True, "authenticator": post.login, "auth_required": True}
    login = {"username": "desk", "password": SecretStr("secret")}
    async with (
        served(post, **options) as port,
        Connection(at(port, security="starttls", tls_context=tls[1], **login)) as connection,
    ):
        assert await connection.send(FROM, JANE, MAIL) == smtp.Accepted()
    assert post.logins == [b"desk"]


async def test_a_wrong_login_is_our_fault_and_not_the_mails(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    post = Post()
    options = {"tls_context": tls[0], "require_starttls": True, "authenticator": post.login, "auth_required": True}
    login = {"username": "desk", "password": SecretStr("wrong-password")}
    async with (
        served(post, **options) as port,
        Connection(at(port, security="starttls", tls_context=tls[1], **login)) as connection,
    ):
        outcome = await connection.send(FROM, JANE, MAIL)
    assert isinstance(outcome, smtp.Later)
    assert "wrong-password" not in outcome.reason


async def test_a_server_that_nobody_vouches_for_gets_no_mail(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    post = Post()
    async with (
        served(post, tls_context=tls[0], require_starttls=True) as port,
        Connection(at(port, security="starttls")) as connection,
    ):
        assert isinstance(await connection.send(FROM, JANE, MAIL), smtp.Later)
    assert post.mails == []


async def test_a_server_without_starttls_gets_no_mail_where_it_is_demanded() -> None:
    post = Post()
    async with served(post) as port, Connection(at(port, security="starttls")) as connection:
        assert isinstance(await connection.send(FROM, JANE, MAIL), smtp.Later)
    assert post.mails == []
