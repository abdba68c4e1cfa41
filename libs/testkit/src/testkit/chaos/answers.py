"""Answers that say that something cannot be done now: one of every attempt, of those that are repeated too."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import httpx2

TOO_MANY: Final = 429
"""The only status below 500 that says so."""


class Failure(NamedTuple):
    """One such answer, and after how many seconds it allows another attempt."""

    asked: str
    status: int
    retry_after: str


def listen(clients: Iterable[httpx2.AsyncClient], failures: list[Failure]) -> None:
    """Enter all that some clients are answered from now on."""

    async def hear(response: httpx2.Response) -> None:
        if response.status_code >= 500 or response.status_code == TOO_MANY:
            asked = f"{response.request.method} {response.request.url.path}"
            failures.append(Failure(asked, response.status_code, response.headers.get("retry-after", "")))

    for client in clients:
        client.event_hooks = {"response": [hear]}
