"""The HTTP doors of an installation, as a careful caller uses them: one key per act, repeated until it is answered."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain, cycle
from typing import Any

import httpx2

RETRY_STATUS = frozenset({429, 502, 503, 504})
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


_POOL = 4
"""Connections of one client: it looks at each of them for every request, so several small ones are much cheaper."""


class Refused(Exception):
    """A door said no: `slug` names why, `problem` is the whole answer."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.slug = str(problem.get("type", "")).rpartition("#")[2] or str(problem.get("title", "refused"))
        super().__init__(": ".join(filter(None, (f"{status} {self.slug}", problem.get("detail")))))


class Unanswered(Exception):
    """No answer within the time given; the outcome is not known."""


@dataclass(frozen=True)
class Answer:
    """A 2xx answer."""

    status: int
    body: Any
    etag: str | None
    position: str | None
    location: str | None


class Doors:
    """Every service's HTTP door.

    A call without an answer (the process was killed, the database is away) is repeated with the same
    Idempotency-Key for `patience` seconds, so that a crash repeats nothing.
    """

    def __init__(
        self, services: Mapping[str, str], token: Callable[[str], str], *, patience: float = 90.0, connections: int = 16
    ) -> None:
        self._services = services
        self._token = token
        self._patience = patience
        self.repeated = 0
        self._clients = {service: [_client() for _ in range(-(-connections // _POOL))] for service in services}
        self._turns = {service: cycle(clients) for service, clients in self._clients.items()}

    async def close(self) -> None:
        """Give the connections back."""
        for client in chain.from_iterable(self._clients.values()):
            await client.aclose()

    async def get(self, who: str, service: str, path: str, **query: str | int) -> Answer:
        """Read something; raises Refused and Unanswered."""
        return await self._call("GET", who, service, path, params=query)

    async def post(
        self,
        who: str,
        service: str,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str,
        etag: str | None = None,
        wait: int | None = None,
    ) -> Answer:
        """`command` by POST."""
        return await self.command("POST", who, service, path, body, key=key, etag=etag, wait=wait)

    async def command(
        self,
        method: str,
        who: str,
        service: str,
        path: str,
        body: Mapping[str, Any],
        *,
        key: str,
        etag: str | None = None,
        wait: int | None = None,
    ) -> Answer:
        """Ask for something under an idempotency key; raises Refused and Unanswered.

        `etag` goes as If-Match. `wait` lets the door wait that many seconds for a request that is on its way; with it
        a 404 is asked again, since a crash may have delayed what opens the request.
        """
        headers = {"idempotency-key": key}
        if etag is not None:
            headers["if-match"] = etag
        if wait is not None:
            headers["prefer"] = f"wait={wait}"
        return await self._call(method, who, service, path, json=body, headers=headers)

    async def _call(self, method: str, who: str, service: str, path: str, **options: Any) -> Answer:
        headers = {**options.pop("headers", {}), "authorization": f"Bearer {self._token(who)}"}
        deadline = asyncio.get_running_loop().time() + self._patience
        attempt = 0
        while True:
            said = "no answer"
            try:
                url = f"{self._services[service]}/{service}/v1{path}"
                response = await next(self._turns[service]).request(method, url, headers=headers, **options)
                on_its_way = response.status_code == 404 and "prefer" in headers
                if response.status_code not in RETRY_STATUS and not on_its_way:
                    return _answer(response)
                said = str(response.status_code)
            except httpx2.TransportError as error:
                said = type(error).__name__
            if asyncio.get_running_loop().time() > deadline:
                raise Unanswered(f"{method} {service}{path}: {said} for {self._patience:.0f} s")
            self.repeated += 1
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1


def _answer(response: httpx2.Response) -> Answer:
    body = response.json() if response.content else None
    if response.status_code >= 400:
        raise Refused(response.status_code, body if isinstance(body, dict) else {})
    headers = response.headers
    return Answer(
        response.status_code, body, headers.get("etag"), headers.get("throughline-position"), headers.get("location")
    )


def _client() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=_POOL, max_keepalive_connections=_POOL)
    timeout = httpx2.Timeout(20.0, connect=2.0)
    return httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """Whom to trust, read once: each client would take a tenth of a second and a megabyte for it."""
    return httpx2.create_ssl_context(trust_env=False)
