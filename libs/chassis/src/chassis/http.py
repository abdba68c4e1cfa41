"""The reads of a service: what a route may ask for, and that none is open to everybody."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from chassis import health, positions, problems, telemetry
from chassis.auth import Caller
from chassis.binding import Plan
from chassis.database import Database
from chassis.decision import Refused
from chassis.paging import Listed, PageDep

if TYPE_CHECKING:
    from chassis.service import Runtime

__all__ = ["ANY_CALLER", "CallerDep", "DatabaseDep", "PageDep", "Routes", "RuntimeDep", "assert_all_guarded", "guarded"]

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

PUBLIC = frozenset({"/problems", "/openapi.json", *health.PATHS})
"""Paths without a caller: what says whether the process is well, and what a problem means. (Never in production: the
API's description.)"""
ANY_CALLER = "*"
"""The scope of a route that every known caller may use; the route itself decides what each may see."""


# --- what a route may ask for


def runtime_of(request: Request) -> "Runtime":
    """The runtime of the process that serves a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def caller_of(request: Request) -> Caller:
    """Who asks; raises the 401 or 403."""
    header = request.headers.get("authorization")
    return await runtime_of(request).callers.caller(header.encode("latin-1") if header else None)


async def _database(request: Request) -> Database:
    return runtime_of(request).database


async def _runtime(request: Request) -> "Runtime":
    return runtime_of(request)


CallerDep = Annotated[Caller, Depends(caller_of)]
# Coroutines, because FastAPI hands a plain function to a thread, which costs more than the rest of a read.
DatabaseDep = Annotated[Database, Depends(_database)]
RuntimeDep = Annotated[Any, Depends(_runtime)]


class Guard:
    """A dependency that lets only callers with a scope pass. A route without one is not served."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, caller: CallerDep) -> None:
        if self.scope != ANY_CALLER:
            caller.require(self.scope)


class ReadRoute(APIRoute):
    """A read as plain ASGI: described by FastAPI, served without it.

    It honours `Throughline-Position` and `Prefer: wait`, and answers an ETag where the view has `edit_version`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        guards = (each.dependency for each in self.dependencies)
        self.app = _Endpoint(Plan(self.dependant), next(each for each in guards if isinstance(each, Guard)))


class _Endpoint:
    def __init__(self, plan: Plan, guard: Guard) -> None:
        self._plan = plan
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        prefer, position = headers.get(b"prefer"), headers.get(b"throughline-position")
        if prefer is None and position is None:
            view = await self._plan(request)
        else:
            view = await self._in_time(request, (prefer or b"").decode("latin-1"), position)
        if isinstance(view, Response):
            await view(scope, receive, send)
        else:
            await _answer(view, send)

    async def _in_time(self, request: Request, prefer: str, position: bytes | None) -> Any:
        """The view once the position is heard, and once what is asked for is here, if that is soon enough."""
        deadline = time.monotonic() + positions.seconds_of(prefer)
        await self._guard(await caller_of(request))  # who may not see it does not hold the door open either
        if position is not None:
            with telemetry.waited_for(request.scope):
                await runtime_of(request).positions.reach(position.decode("latin-1"), prefer)
        rests = islice(positions.rests(), 1, None)
        while True:
            try:
                return await self._plan(request)
            except Refused as refused:
                if refused.status != 404 or time.monotonic() >= deadline:
                    raise
                with telemetry.waited_for(request.scope):
                    await asyncio.sleep(next(rests))


class Routes:
    """The reads of a service, below `/<service>/v1`; every one names the scope that it needs.

    What changes a request is a command (`chassis.commands`), never a route.
    """

    def __init__(self, service: str) -> None:
        self.prefix = f"/{service}/v1"
        self._declared: list[tuple[str, str, str, Callable[..., Awaitable[Any]], dict[str, Any]]] = []

    def get(self, path: str, *, scope: str, **options: Any) -> Callable[[F], F]:
        """Serve an async function at a path; a returned view with `edit_version` becomes the ETag."""
        return self._declare("GET", path, scope, options)

    def post(self, path: str, *, scope: str, **options: Any) -> Callable[[F], F]:
        """Serve an operator's verb: one that does no harm when it is repeated."""
        return self._declare("POST", path, scope, options)

    def _declare(self, method: str, path: str, scope: str, options: dict[str, Any]) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self._declared.append((method, path, scope, function, options))
            return function

        return declare

    def install(self, app: FastAPI) -> None:
        """Add the routes to an app."""
        for method, path, scope, function, options in self._declared:
            app.router.add_api_route(
                self.prefix + path,
                function,
                methods=[method],
                route_class_override=ReadRoute if method == "GET" else APIRoute,
                dependencies=[Depends(Guard(scope))],
                responses={"default": {"description": "Problem", "content": {problems.MEDIA_TYPE: {}}}},
                **options,
            )


async def _answer(view: Any, send: Send) -> None:
    """Send a view: it was checked when it was made, or when what it shows was written."""
    body = _to_json(view)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    version = view.get("edit_version") if isinstance(view, dict) else getattr(view, "edit_version", None)
    if version is not None:
        headers.append((b"etag", b'"%d"' % version))
    if isinstance(view, Listed) and view.link is not None:
        headers.append((b"link", view.link.encode("latin-1")))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _to_json(view: Any) -> bytes:
    if isinstance(view, Listed):
        view = {"items": view.items, "next": view.next}
    elif isinstance(view, BaseModel):
        return view.__pydantic_serializer__.to_json(view)
    return orjson.dumps(view, default=_value, option=orjson.OPT_UTC_Z)


def _value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return orjson.Fragment(value.__pydantic_serializer__.to_json(value))
    if isinstance(value, Decimal | UUID):  # a UUID that comes here is the driver's own subclass
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def guarded(route: BaseRoute) -> bool:
    """Whether a route asks who is calling, or is one of the few public ones."""
    if getattr(route, "path", None) in PUBLIC or getattr(route, "scope", None):
        return True
    dependencies = getattr(getattr(route, "dependant", None), "dependencies", ())
    return any(isinstance(each.call, Guard) for each in dependencies)


def assert_all_guarded(app: FastAPI) -> None:
    """Refuse an app that has a route without a guard; called at every start."""
    open_routes = [getattr(route, "path", repr(route)) for route in app.routes if not guarded(route)]
    if open_routes:
        raise RuntimeError(f"routes without a scope: {', '.join(open_routes)}")
