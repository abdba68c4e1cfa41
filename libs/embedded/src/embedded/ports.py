"""Free ports on the loopback address."""

import random
import socket

LOOPBACK = "127.0.0.1"
LOWEST, HIGHEST = 16000, 32000
"""Below what systems hand out to clients: while a killed server is away, no client's own socket takes its port."""


def free_port() -> int:
    """A port that nobody listens on now. Another process may still be quicker: be ready to ask again."""
    for port in random.sample(range(LOWEST, HIGHEST), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found between {LOWEST} and {HIGHEST}")


def answers(port: int) -> bool:
    """Whether somebody listens on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
