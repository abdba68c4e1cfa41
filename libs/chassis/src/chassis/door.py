"""The whole API of a service as uvicorn serves it: FastAPI, and around it what every request goes through."""

import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from opentelemetry.trace import SpanKind
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import facts, health, openapi, operating, problems, reconciling, telemetry
from chassis.answers import answer, translated
from chassis.asked import UnknownOutcome
from chassis.commands import CommandRoute
from chassis.database import Unavailable
from chassis.decision import Refused
from chassis.http import ReadRoute, assert_all_guarded
from chassis.ids import new_id
from chassis.problems import Problem

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


async def _handled(request: Request, error: Exception) -> Response:
    refused = translated(error)
    if isinstance(refused, Problem) and refused.slug == "method-not-allowed":
        refused.headers = {"allow": ", ".join(_methods(request))}
    if refused.slug == "internal":
        log.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
        request.scope["throughline.answered"] = True
    return answer(request.scope, refused)


def _methods(request: Request) -> list[str]:
    """The methods that exist at the path of a request: each may be a route of its own."""
    found = {
        method
        for route in request.app.routes
        if route.matches(dict(request.scope))[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }
    return sorted(found | {"HEAD"} if "GET" in found else found)


class Door:
    """Around the whole app: health, overload, ids, traces, times, and the headers that every answer carries.

    Commands and reads are reached from here: the way through FastAPI's stack costs as much as the rest.
    """

    def __init__(self, app: FastAPI, runtime: "Runtime") -> None:
        self._app = app
        self._direct: dict[tuple[str, int], list[Route]] = {}
        for route in app.routes:
            if isinstance(route, CommandRoute | ReadRoute):
                for method in route.methods or ():
                    self._direct.setdefault((method, route.path.count("/")), []).append(route)
        self._health = runtime.health
        self._most = runtime.settings.concurrency
        self._state = runtime
        self._in_hand = 0
        telemetry.HTTP_REQUESTS_IN_HAND.set_function(lambda: self._in_hand)
        self._observe: dict[tuple[str, str, int], Callable[[float], None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":  # RFC 9110, 9.3.2: as GET, without the content
            scope, send = {**scope, "method": "GET"}, _without_content(send)
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
            self._observed(scope, status, time.perf_counter() - started - telemetry.waited(scope))

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
        for route in self._direct.get((scope["method"], scope["path"].count("/")), ()):
            match, child = route.matches(scope)
            if match is Match.FULL:
                scope.update(child, app=self._app)
                await self._direct_to(route, scope, receive, send)
                return
        try:
            await self._app(scope, receive if scope["method"] == "GET" else self._limited(receive), send)
        except Exception:
            if not scope.get("throughline.answered"):  # else it is logged, and the caller has its 500
                raise

    async def _direct_to(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await route.app(scope, receive, send)
        except Exception as error:
            await (await _handled(Request(scope), error))(scope, receive, send)

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
        route = getattr(scope.get("route"), "path", "none")
        key = (route, scope["method"] if route != "none" and status != 405 else "other", status)
        observe = self._observe.get(key)
        if observe is None:
            observe = self._observe[key] = telemetry.HTTP_REQUEST_SECONDS.labels(*map(str, key)).observe
        observe(seconds)


def _without_content(send: Send) -> Send:
    async def sending(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sending


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
    name, told = service.name, facts.routes(service.name, service.aggregates)
    for routes in (service.routes, told, operating.routes(name), reconciling.routes(name)):
        routes.install(app)
    app.add_route("/problems", _problems_page, include_in_schema=False)
    openapi.install(app, service.commands)
    assert_all_guarded(app)
    return app, Door(app, runtime)


def _exceptions() -> Iterator[type[Exception]]:
    yield from (Refused, RequestValidationError, HTTPException, UnknownOutcome, Unavailable)
    yield from (asyncpg.PostgresError, asyncpg.InterfaceError, Exception)
