"""Whether a process lives, is ready, has started: asked over HTTP, answered without touching what may be away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Check = Callable[[], Awaitable[str | None]]
"""Asked by /readyz: None when all is well, else what is wrong."""

_CHECK_SECONDS = 3.0
_REMEMBER_SECONDS = 1.0


class Health:
    """The state of one process. Roles put their checks in; `app` says when it has started and when it drains."""

    def __init__(self) -> None:
        self.started = False
        self.draining = False
        self._checks: dict[str, Check] = {}
        self._alive: dict[str, Callable[[], str | None]] = {}
        self._asked_at = 0.0
        self._answers: dict[str, str | None] = {}

    def ready_when(self, name: str, check: Check) -> None:
        """Let /readyz ask this too; what raises or takes longer than 3 s counts as wrong."""
        self._checks[name] = check

    def alive_when(self, name: str, check: Callable[[], str | None]) -> None:
        """Let /livez ask this too. It must look at this process alone, never at Kafka or PostgreSQL."""
        self._alive[name] = check

    async def ready(self) -> dict[str, str | None]:
        """Every check by name, with what is wrong; asked at most once a second."""
        if time.monotonic() - self._asked_at > _REMEMBER_SECONDS:
            names = list(self._checks)
            found = await asyncio.gather(*(self._one(self._checks[name]) for name in names))
            self._answers = dict(zip(names, found, strict=True))
            self._asked_at = time.monotonic()
        said = {"started": None if self.started else "not started", "serving": "draining" if self.draining else None}
        return {**said, **self._answers}

    @staticmethod
    async def _one(check: Check) -> str | None:
        try:
            return await asyncio.wait_for(check(), _CHECK_SECONDS)
        except TimeoutError:
            return "no answer within 3 s"
        except Exception as error:
            return f"{type(error).__name__}"

    def living(self) -> dict[str, str | None]:
        """Every check of this process itself, with what is wrong."""
        return {name: check() for name, check in self._alive.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer /livez, /readyz, /startupz and /metrics; `?verbose` names every check."""
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        path = scope["path"]
        if path == "/metrics":
            return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
        if path == "/livez":
            found: dict[str, str | None] = self.living()
        elif path == "/startupz":
            found = {"started": None if self.started else "not started"}
        else:
            found = await self.ready()
        wrong = any(found.values())
        body: dict[str, Any] = {"status": "failing" if wrong else "ok"}
        if b"verbose" in scope["query_string"]:
            body["checks"] = {name: why or "ok" for name, why in found.items()}
        return Response(orjson.dumps(body), 503 if wrong else 200, media_type="application/json")


PATHS = ("/livez", "/readyz", "/startupz", "/metrics")
