"""The HTTP door of a service: FastAPI with problem documents for everything and nothing open by default."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import asyncpg
import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from opentelemetry.trace import SpanKind
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import bodies, health, positions, problems, telemetry
from chassis.asked import UnknownOutcome
from chassis.auth import Caller
from chassis.commands import CommandRoute
from chassis.database import Database, Unavailable
from chassis.decision import Refused
from chassis.ids import new_id
from chassis.paging import PageDep
from chassis.problems import Problem

if TYPE_CHECKING:
    from chassis.service import Runtime

__all__ = ["CallerDep", "DatabaseDep", "PageDep", "Routes", "RuntimeDep", "assert_all_guarded", "build", "guarded"]

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

log = structlog.get_logger(__name__)

SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
PUBLIC = frozenset({"/problems", "/openapi.json", *health.PATHS})
"""Paths without a caller: what says whether the process is well, and what a problem means. (Never in production: the
API's description.)"""
ANY_CALLER = "*"
"""The scope of a route that every known caller may use; the route itself decides what each may see."""

_SLUGS = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}

_etag: ContextVar[int | None] = ContextVar("etag", default=None)


# --- what a route may ask for


def runtime_of(request: Request) -> "Runtime":
    """The runtime of the process that serves a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def caller_of(request: Request) -> Caller:
    """Who asks; raises the 401 or 403."""
    header = request.headers.get("authorization")
    return await runtime_of(request).callers.caller(header.encode("latin-1") if header else None)


def database_of(request: Request) -> Database:
    """The service's database."""
    return runtime_of(request).database


CallerDep = Annotated[Caller, Depends(caller_of)]
DatabaseDep = Annotated[Database, Depends(database_of)]
RuntimeDep = Annotated[Any, Depends(runtime_of)]


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
                await positions.reach(runtime_of(request), request.headers["throughline-position"], prefer)
            while True:
                _etag.set(None)
                try:
                    response = await once(request)
                except Refused as refused:
                    if refused.status != 404 or time.monotonic() >= deadline:
                        raise
                    await asyncio.sleep(0.1)
                    continue
                version = _etag.get()
                if version is not None:
                    response.headers["etag"] = f'"{version}"'
                return response

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
                _tagging(function),
                methods=[method],
                dependencies=[Depends(Guard(scope))],
                responses={"default": {"description": "Problem", "content": {problems.MEDIA_TYPE: {}}}},
                **options,
            )


def _tagging(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def tagging(*arguments: Any, **named: Any) -> Any:
        view = await function(*arguments, **named)
        _etag.set(getattr(view, "edit_version", None))
        return view

    return tagging


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


# --- errors


def answer(scope: Scope, refused: Refused) -> Response:
    """The problem document of a refusal as a response."""
    docs_url = scope["app"].state.runtime.settings.docs_url
    response = Response(status_code=refused.status, media_type=problems.MEDIA_TYPE)
    response.body = problems.to_bytes(refused, docs_url, scope.get("throughline.trace_id"))
    response.headers["content-length"] = str(len(response.body))
    for name, value in getattr(refused, "headers", {}).items():
        response.headers[name] = value
    return response


def translated(error: Exception) -> Refused:
    """The problem that an exception of an edge or of a library is."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, RequestValidationError):
        errors = error.errors()
        if errors[0]["type"] == "json_invalid":
            return Problem("malformed-json", errors[0]["msg"])
        wrong = {
            "".join(f"/{bodies.escaped(str(step))}" for step in each["loc"] if step != "body"): each["msg"]
            for each in errors
        }
        return Problem("not-found") if all(each.startswith("/path/") for each in wrong) else Problem.invalid(wrong)
    if isinstance(error, UnknownOutcome):
        return Problem("outcome-unknown", headers={"retry-after": "1"})
    if isinstance(error, Unavailable | asyncpg.PostgresConnectionError | asyncpg.InterfaceError):
        return Problem("unavailable", headers={"retry-after": "2"})
    if isinstance(error, asyncpg.DataError):
        return Problem.invalid({"/query": "a value has the wrong form"})
    if isinstance(error, HTTPException):
        slug = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}.get(
            error.status_code
        )
        if slug:
            return Problem(slug, headers=error.headers)
    return Problem("internal")


async def _handled(request: Request, error: Exception) -> Response:
    refused = translated(error)
    if refused.slug == "internal":
        log.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
        request.scope["throughline.answered"] = True
    return answer(request.scope, refused)


class Door:
    """Around the whole app: health, overload, ids, traces, times, and the headers that every answer carries.

    Commands with a fixed path are reached from here: the way through FastAPI's stack costs as much as the rest.
    """

    def __init__(self, app: FastAPI, runtime: "Runtime") -> None:
        self._app = app
        self._direct = {
            (route.declared.method, route.path): route
            for route in app.routes
            if isinstance(route, CommandRoute) and "{" not in route.path
        }
        self._health = runtime.health
        self._most = runtime.settings.concurrency
        self._state = runtime
        self._in_hand = 0
        self._observe: dict[tuple[str, str, int], Callable[[float], None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in health.PATHS:
            await self._health(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = new_id().hex
        status = 500
        scope["throughline.trace_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        self._in_hand += 1
        try:
            if self._in_hand > self._most:
                scope["app"] = self._app
                await answer(scope, Problem("overloaded", headers={"retry-after": "1"}))(scope, receive, sending)
            else:
                await self._traced(scope, receive, sending)
        finally:
            self._in_hand -= 1
            self._observed(scope, status, time.perf_counter() - started)

    async def _traced(self, scope: Scope, receive: Receive, send: Send) -> None:
        parent = _traceparent(scope)
        if not (telemetry.sampled(parent) or (parent is None and telemetry.begins(scope["throughline.trace_id"]))):
            scope["throughline.traceparent"] = parent
            await self._served(scope, receive, send)
            return
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        name = f"{scope['method']} {scope['path']}"
        with telemetry.span(name, parent, kind=SpanKind.SERVER, attributes=attributes) as span:
            scope["throughline.traceparent"] = telemetry.traceparent_of(span)
            scope["throughline.trace_id"] = f"{span.get_span_context().trace_id:032x}"
            await self._served(scope, receive, send)
            route = getattr(scope.get("route"), "path", None)
            if route:
                span.update_name(f"{scope['method']} {route}")

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._direct.get((scope["method"], scope["path"]))
        if route is not None:
            scope["app"], scope["route"], scope["path_params"] = self._app, route, {}
            try:
                await route.app(scope, receive, send)
            except Exception as error:
                await (await _handled(Request(scope), error))(scope, receive, send)
            return
        try:
            await self._app(scope, receive if scope["method"] == "GET" else self._limited(receive), send)
        except Exception:
            if not scope.get("throughline.answered"):  # else it is logged, and the caller has its 500
                raise

    def _limited(self, receive: Receive) -> Receive:
        """The same body, but no more of it than is allowed."""
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._state.settings.body_limit:
                raise HTTPException(413)
            return message

        return limited

    def _observed(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        key = (getattr(scope.get("route"), "path", "none"), scope["method"] if status != 405 else "other", status)
        observe = self._observe.get(key)
        if observe is None:
            observe = self._observe[key] = telemetry.HTTP_REQUEST_SECONDS.labels(*map(str, key)).observe
        observe(seconds)


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            text: str = value.decode("latin-1")
            return text if telemetry.context_of(text) else None
    return None


async def _problems_page(request: Request) -> Response:
    return Response(problems.page(problems.refusals()), media_type="text/markdown; charset=utf-8")


def build(runtime: "Runtime") -> tuple[FastAPI, ASGIApp]:
    """The FastAPI app of a service and, around it, what uvicorn serves."""
    from chassis import facts, openapi, operating

    service, settings = runtime.service, runtime.settings
    shown = settings.env != "production"
    app = FastAPI(
        title=f"Throughline {service.name}",
        version="1",
        openapi_url="/openapi.json" if shown else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.runtime = runtime
    for kind in _exceptions():
        app.add_exception_handler(kind, _handled)
    for route in service.commands.routes(runtime):
        app.router.routes.append(route)
    topics = {kind.topic for aggregate in service.aggregates for kind in aggregate.codec.kinds if kind.topic}
    for routes in (service.routes, facts.routes(service.name, topics), operating.routes(service.name)):
        routes.install(app)
    app.add_route("/problems", _problems_page, include_in_schema=False)
    openapi.install(app, service.commands)
    assert_all_guarded(app)
    return app, Door(app, runtime)


def _exceptions() -> Iterator[type[Exception]]:
    yield from (Refused, RequestValidationError, HTTPException, UnknownOutcome, Unavailable)
    yield from (asyncpg.PostgresError, asyncpg.InterfaceError, Exception)
