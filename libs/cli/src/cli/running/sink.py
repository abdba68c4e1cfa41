"""A mail server that takes everything and delivers nothing: the mailbox of demos.

By itself: `python -m cli.running.sink --host 0.0.0.0 --port 1025`; it prints a line for each mail.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message
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
    """An SMTP server; without a port, on a free one."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, heard: Callable[[Message], None] | None = None) -> None:
        self.taken = Taken()
        self.host, self.port = host, port
        self._heard = heard
        self._server: asyncio.Server | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Count a mail and accept it."""
        self.taken.mails += 1
        headers = BytesHeaderParser().parsebytes(envelope.content)
        self.taken.by_id[str(headers.get("Message-ID", ""))] += 1
        if self._heard is not None:
            self._heard(headers)
        return "250 taken"

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="localhost"), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()


def _print(headers: Message) -> None:
    print(json.dumps({name.lower(): headers.get(name, "") for name in ("To", "Subject", "Message-ID")}), flush=True)


async def _serve(host: str, port: int) -> None:
    sink, stop = Sink(host, port, _print), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await sink.start()
    print(json.dumps({"event": "listening", "host": host, "port": sink.port}), flush=True)
    await stop.wait()
    await sink.stop()


def main(arguments: Sequence[str]) -> None:
    """Take mails until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m cli.running.sink", description="Takes mails, delivers none.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1025)
    options = parser.parse_args(arguments)
    asyncio.run(_serve(options.host, options.port))


if __name__ == "__main__":
    main(sys.argv[1:])
