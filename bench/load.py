"""A load generator in a process of its own: keep-alive connections that submit, in a closed or an open loop.

`python -m bench.load` reads a Plan as JSON from standard input and prints a Report as JSON.
"""

import asyncio
import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle
from random import Random
from typing import cast

import uvloop

from bench.measuring import arrivals, percentile
from bench.result import ROOT

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_ANSWERS_WITHIN = 10.0


@dataclass
class Plan:
    """What to send: each body goes out with its token, in turn. Without a rate, as fast as answers come."""

    host: str
    port: int
    path: str
    bodies: list[str]
    tokens: list[str]
    keys: str
    """What idempotency keys begin with; unique per run."""
    seconds: float
    connections: int = 32
    rate: float = 0.0
    most: int = 1_000_000_000
    """Requests at most."""
    method: str = "POST"


@dataclass
class Report:
    """What came back: only 200 and 201 are good. Latency in an open loop counts from when a request was to be sent.

    `unanswered` were offered and had no answer soon after the end: more than can be taken was offered.
    """

    good: int
    bad: int
    unanswered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    first_bad: str = ""

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds


async def run(plan: Plan) -> Report:
    """Carry a plan out in a process of its own, which ends with the call when that is cancelled."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        told, _ = await child.communicate(json.dumps(asdict(plan)).encode())
    finally:
        if child.returncode is None:  # nobody waits for its answers any more
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"the load generator ended with status {child.returncode}")
    report = Report(**json.loads(told))
    if report.bad * 100 > report.good:
        raise RuntimeError(f"{report.bad} bad answers, {report.good} good ones: {report.first_bad}")
    return report


@dataclass
class _Load:
    plan: Plan
    requests: Iterator[bytes]
    deadline: float = 0.0
    sent: int = 0
    good: int = 0
    first_bad: str = ""
    latencies: list[float] = field(default_factory=list)
    free: list["_Connection"] = field(default_factory=list)
    due: deque[float] = field(default_factory=deque)

    def next_for(self, connection: "_Connection", now: float) -> None:
        """Give an idle connection what is due, or nothing."""
        if self.plan.rate:
            if self.due:
                connection.send(self.due.popleft())
            else:
                self.free.append(connection)
        elif now < self.deadline and self.sent < self.plan.most:
            connection.send(now)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self._at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def send(self, at: float) -> None:
        """Send the next request, which was due at `at`."""
        assert self._transport is not None
        self._at = at
        self._load.sent += 1
        self._transport.write(next(self._load.requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        length = _LENGTH.search(self._buffer, 0, end + 2) if end >= 0 else None
        if length is None or len(self._buffer) < end + 4 + int(length[1]):
            return
        now = time.perf_counter()
        self._load.latencies.append(now - self._at)
        if self._buffer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 200")):
            self._load.good += 1
        elif not self._load.first_bad:
            self._load.first_bad = self._buffer[:600].decode(errors="replace")
        self._buffer = b""
        self._load.next_for(self, now)


def _requests(plan: Plan) -> Iterator[bytes]:
    parts = []
    for body, token in zip(plan.bodies, cycle(plan.tokens), strict=False):
        content = body.encode()
        head = (
            f"{plan.method} {plan.path} HTTP/1.1\r\nhost: {plan.host}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {token}\r\ncontent-length: {len(content)}\r\nidempotency-key: {plan.keys}-"
        )
        parts.append((head.encode(), b"\r\n\r\n" + content))
    for n, (head_bytes, rest) in enumerate(cycle(parts)):
        yield b"%b%010d%b" % (head_bytes, n, rest)


async def _carry_out(plan: Plan) -> Report:
    loop = asyncio.get_running_loop()
    load = _Load(plan, _requests(plan))
    connections = [
        (await loop.create_connection(lambda: _Connection(load), plan.host, plan.port))[1]
        for _ in range(plan.connections)
    ]
    began = time.perf_counter()
    load.deadline = began + plan.seconds
    if plan.rate:
        load.free = connections
        await _offer(plan, load, began)
    else:
        for connection in connections:
            connection.send(began)
    give_up = load.deadline + _LAST_ANSWERS_WITHIN
    while (len(load.latencies) < load.sent or time.perf_counter() < load.deadline) and time.perf_counter() < give_up:
        if load.sent >= plan.most and len(load.latencies) >= load.sent:
            break
        await asyncio.sleep(0.005)
    taken = time.perf_counter() - began
    milliseconds = [1000 * each for each in load.latencies]
    p50, p99 = percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)
    answered, offered = len(milliseconds), load.sent + len(load.due)
    return Report(load.good, answered - load.good, offered - answered, taken, p50, p99, load.first_bad)


async def _offer(plan: Plan, load: _Load, began: float) -> None:
    for offset in arrivals(plan.rate, plan.seconds, Random(plan.keys)):
        at = began + offset
        pause = at - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        if load.free:
            load.free.pop().send(at)
        else:
            load.due.append(at)


if __name__ == "__main__":
    found = uvloop.run(_carry_out(Plan(**json.load(sys.stdin))))
    print(json.dumps(asdict(found)))
