"""Two processes out of one, before there is an event loop: neither outlives the other, and each hears of its end."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from dataclasses import dataclass


@dataclass
class Other:
    """The other process, as each of the two sees it."""

    pid: int | None
    """The forked process while it runs; None in that process itself."""
    link: socket.socket
    """Readable, at its end, when the other process has ended, however that came."""

    async def ended(self) -> int:
        """Return when the forked process has ended, with its exit status; no pid is left to be signalled then."""
        assert self.pid is not None  # only the process that forked can know
        await asyncio.get_running_loop().sock_recv(self.link, 1)
        _, status = await asyncio.to_thread(os.waitpid, self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: signal.Signals) -> None:
        """Send the forked process a signal; nothing happens when it has ended."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def fork() -> Other:
    """Copy this process: what it has imported is shared. Call it while there is one thread and no loop.

    The copy has a session of its own: what a terminal sends to the first reaches it through the first alone.
    """
    gc.freeze()
    ours, theirs = socket.socketpair()
    pid = os.fork()
    mine, its = (theirs, ours) if pid == 0 else (ours, theirs)
    its.close()
    mine.setblocking(False)
    if pid == 0:
        os.setsid()
    return Other(pid or None, mine)
