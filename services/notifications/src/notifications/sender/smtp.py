"""The mail server: connections that are kept, and an honest answer to what became of a mail."""

import asyncio
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from pydantic import SecretStr

Security = Literal["none", "starttls", "tls"]

DIALOGUE_WITHIN = 90.0
"""Seconds for one mail from the first command to the last answer; shorter than an attempt may stay open."""
MAILS_PER_CONNECTION = 100
LOGIN_WANTED = (530, 534, 535, 538)
"""What a server says to us rather than to the mail: wrong settings here, which an operator mends."""


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed over."""

    host: str
    port: int
    security: Security = "none"
    username: str | None = None
    password: SecretStr | None = None
    timeout: float = 20.0
    tls_context: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Accepted:
    """The server took responsibility."""


@dataclass(frozen=True)
class Later:
    """Surely not taken this time."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """Surely not taken, and not to be tried again."""

    code: int
    reason: str


@dataclass(frozen=True)
class Lost:
    """Handed over, and no answer came: it may have been taken."""


Outcome = Accepted | Later | Refused | Lost


class Connection:
    """One SMTP connection, opened when it is first needed, kept for the next mail, replaced after a fault."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._client: SMTP | None = None
        self._sent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._quit()

    async def send(self, sender: str, recipients: tuple[str, ...], mail: bytes) -> Outcome:
        """Hand one mail over. Never raises for what the server or the network does.

        Accepted as soon as the server took it for one of the recipients.
        """
        ready = handed_over = False
        try:
            async with asyncio.timeout(DIALOGUE_WITHIN):
                client = await self._ready()
                ready = True
                refused = await self._introduce(client, sender, recipients)
                if refused is not None:
                    return refused
                handed_over = True
                await client.data(mail)
        except SMTPResponseException as error:
            return await self._answered(error) if ready else Later(_said(error))
        except (SMTPException, OSError, TimeoutError) as error:
            self._drop()
            return Lost() if handed_over else Later(_said(error))
        self._sent += 1
        return Accepted()

    async def _introduce(self, client: SMTP, sender: str, recipients: tuple[str, ...]) -> Outcome | None:
        """MAIL and RCPT; an outcome only when no recipient was taken, and then the one that leaves more hope."""
        await client.mail(sender)
        refusals: list[SMTPResponseException] = []
        for recipient in recipients:
            try:
                await client.rcpt(recipient)
            except SMTPResponseException as error:
                refusals.append(error)
        if len(refusals) < len(recipients):
            return None
        return await self._answered(min(refusals, key=lambda error: error.code))

    async def _answered(self, error: SMTPResponseException) -> Outcome:
        """What a negative answer means; the connection goes on with the next mail if it can."""
        try:
            if self._client is not None and self._client.is_connected:
                await self._client.rset()
        except (SMTPException, OSError, TimeoutError):
            self._drop()
        reason = _said(error)
        return (
            Refused(error.code, reason) if 500 <= error.code < 600 and error.code not in LOGIN_WANTED else Later(reason)
        )

    async def _ready(self) -> SMTP:
        if self._client is not None and self._client.is_connected and self._sent < MAILS_PER_CONNECTION:
            return self._client
        await self._quit()
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=server.tls_context,
            username=server.username,
            password=server.password.get_secret_value() if server.password else None,
            timeout=server.timeout,
        )
        self._client, self._sent = client, 0
        try:
            await client.connect()
        except BaseException:
            self._drop()
            raise
        return client

    async def _quit(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if client.is_connected:
                await client.quit(timeout=2)
        except (SMTPException, OSError, TimeoutError):
            pass
        finally:
            client.close()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _said(error: BaseException) -> str:
    """What the server said, on one line of bounded length; a login's answer never carries what was sent."""
    if isinstance(error, SMTPResponseException):
        text = f"{error.code} {error.message}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
