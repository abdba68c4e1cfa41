"""A mail server that takes everything and delivers nothing: the mailbox of demos."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass
class Taken:
    """What the sink has accepted: how many mails, and how often each Message-ID came."""

    mails: int = 0
    by_id: Counter[str] = field(default_factory=Counter)

    @property
    def repeated(self) -> int:
        """Mails that came more than once."""
        return sum(times - 1 for times in self.by_id.values())


class Sink:
    """An SMTP server on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.taken = Taken()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Count a mail and accept it."""
        self.taken.mails += 1
        headers = BytesHeaderParser().parsebytes(envelope.content)
        self.taken.by_id[str(headers.get("Message-ID", ""))] += 1
        return "250 taken"

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="localhost"), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
