"""The reads of a service: what a route may ask for, and that none is open to everybody."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from chassis import health, positions, problems, telemetry
from chassis.auth import Caller
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
    """A read: honours `Throughline-Position` and `Prefer: wait`, answers an ETag where the view has `edit_version`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        once = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if request.method not in ("GET", "HEAD"):
                return await once(request)
            prefer = request.headers.get("prefer")
            deadline = time.monotonic() + positions.seconds_of(prefer)
            await caller_of(request)
            if "throughline-position" in request.headers:
                with telemetry.waited_for(request.scope):
                    await positions.reach(runtime_of(request), request.headers["throughline-position"], prefer)
            while True:
                try:
                    return await once(request)
                except Refused as refused:
                    if refused.status != 404 or time.monotonic() >= deadline:
                        raise
                    with telemetry.waited_for(request.scope):
                        await asyncio.sleep(0.1)

        return handler


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
        app.router.route_class = ReadRoute
        for method, path, scope, function, options in self._declared:
            app.add_api_route(
                self.prefix + path,
                _written(function),
                methods=[method],
                dependencies=[Depends(Guard(scope))],
                responses={"default": {"description": "Problem", "content": {problems.MEDIA_TYPE: {}}}},
                **options,
            )


def _written(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The function's view as the answer's bytes: it was checked when it was made, and FastAPI would check it again."""

    @wraps(function)
    async def written(*arguments: Any, **named: Any) -> Any:
        view = await function(*arguments, **named)
        if not isinstance(view, BaseModel):
            return view
        response = Response(view.__pydantic_serializer__.to_json(view), media_type="application/json")
        if (version := getattr(view, "edit_version", None)) is not None:
            response.headers["etag"] = f'"{version}"'
        if isinstance(view, Listed) and view.link is not None:
            response.headers["link"] = view.link
        return response

    return written


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
