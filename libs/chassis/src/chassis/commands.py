"""Commands of a service: one declaration serves the HTTP route and the clients' inbound topics alike."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import orjson
from starlette.routing import Route, compile_path
from starlette.types import Receive, Scope, Send

from chassis import bodies, positions, telemetry
from chassis.aggregate import Aggregate
from chassis.answers import answer
from chassis.asked import Asked, Outcome
from chassis.auth import Caller
from chassis.clock import utc_now
from chassis.decision import Unknown
from chassis.ids import derived_id, key_id, time_of
from chassis.problems import Problem
from contracts.base import Command

if TYPE_CHECKING:
    from chassis.decider import Decider
    from chassis.service import Runtime

__all__ = ["Caller", "Commands", "Declared", "subject_of_new"]

HISTORY = "history:write"
"""The right to state times of one's own: `effective_at`, and `mode: history`."""
ONLY_INBOUND = ("actor", "effective_at", "expected_version")

_ETAG = re.compile(rb'^(?:W/)?"(\d{1,18})"$')
_KEY = re.compile(rb"^[\x21-\x7e]{1,255}$")

C = TypeVar("C", bound=Command)
Translate = Callable[[C, Caller], Any]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One command: where it comes in, what it needs, and how it becomes a domain message."""

    model: type[Command]
    method: str
    path: str
    scope: str
    into: Aggregate[Any]
    translate: Callable[[Any, Caller], Any]
    creates: bool
    id_field: str | None
    if_match: bool
    subject: Callable[[Mapping[str, str], Any], UUID] | None
    status: int

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of the path."""
        return tuple(compile_path(self.path)[2])

    @property
    def type_name(self) -> str:
        """The type on the wire: `workflow.regress.v1`."""
        return self.model.wire_type()


class Commands:
    """The commands of one service, by declaration."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.prefix = f"/{service}/v1"
        self._declared: dict[str, Declared] = {}

    def on(
        self,
        model: type[C],
        method: str,
        path: str,
        *,
        scope: str,
        into: Aggregate[Any],
        creates: bool = False,
        id_field: str | None = None,
        if_match: bool = False,
        subject: Callable[[Mapping[str, str], Any], UUID] | None = None,
        status: int | None = None,
    ) -> Callable[[Translate[C]], Translate[C]]:
        """Declare a command: the decorated function makes the domain message of the body and the caller.

        `{subject}` in the path is the aggregate's id; another path parameter fills the body's field of its name.
        `creates` takes a new id (or the body's `id_field`) and answers 201 with a Location; `subject` computes the id
        from path parameters and body; `if_match` makes `If-Match` obligatory over HTTP.
        """

        def declare(translate: Translate[C]) -> Translate[C]:
            declared = Declared(
                model=model, method=method, path=path, scope=scope, into=into, translate=translate, creates=creates,
                id_field=id_field, if_match=if_match, subject=subject, status=status or (201 if creates else 200),
            )  # fmt: skip
            if declared.type_name in self._declared:
                raise ValueError(f"{declared.type_name} is declared twice")
            self._declared[declared.type_name] = declared
            return translate

        return declare

    def __iter__(self) -> Iterator[Declared]:
        return iter(self._declared.values())

    def find(self, type_name: str) -> Declared | None:
        """The command of a wire type (`workflow.regress.v1`), or None."""
        return self._declared.get(type_name)

    def routes(self, runtime: "Runtime") -> list["CommandRoute"]:
        """The HTTP routes, those with a fixed path first."""
        routes = [CommandRoute(self.prefix, declared, runtime) for declared in self]
        return sorted(routes, key=lambda route: route.path.count("{"))


class CommandRoute(Route):
    """A route whose endpoint is plain ASGI: bytes in, one model, one decision, prepared bytes out."""

    def __init__(self, prefix: str, declared: Declared, runtime: "Runtime") -> None:
        self.declared = declared
        self.scope = declared.scope
        endpoint = _Endpoint(prefix, declared, runtime)
        super().__init__(prefix + declared.path, endpoint, methods=[declared.method], name=declared.model.__name__)

    def matches(self, scope: Scope) -> Any:
        """As for any route; the matched route is left in the scope for metrics."""
        match, child = super().matches(scope)
        if child:
            child["route"] = self
        return match, child


class _Endpoint:
    def __init__(self, prefix: str, declared: Declared, runtime: "Runtime") -> None:
        self._declared = declared
        self._runtime = runtime
        self._limit = runtime.settings.body_limit
        self._prefix = prefix
        self._decider: Decider[Any] = runtime.deciders[declared.into.name]
        self._topic = positions.told_on(declared.into).encode()
        self._fills = tuple(name for name in declared.names if name in declared.model.model_fields)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        authorization = headers.get(b"authorization")
        callers = self._runtime.callers
        caller = callers.remembered(authorization) or await callers.caller(authorization)
        caller.require(self._declared.scope)
        message_id = _message_id(headers, caller)
        expect = self._expected(headers)
        body = await bodies.read(receive, headers, self._limit)
        command = self._command(body, scope["path_params"])
        _check_http(command, caller)
        subject = self._subject(command, scope["path_params"], message_id)
        command = with_subject(self._declared, command, subject)
        prefer = headers.get(b"prefer", b"").decode("latin-1")
        position = headers.get(b"throughline-position")
        if position is not None:
            with telemetry.waited_for(scope):
                await self._runtime.positions.reach(position.decode("latin-1"), prefer)
        asked = Asked(
            subject=subject,
            message=self._declared.translate(command, caller),
            id=message_id,
            actor=caller.actor,
            correlation_id=message_id,
            traceparent=scope.get("throughline.traceparent"),
            remember=True,
            request_hash=_hash(scope, body, headers.get(b"if-match", b"")),
            command={
                "type": self._declared.model.type, "via": "http", "client": caller.client,
                "body": orjson.Fragment(body or b"{}"),
            },
            expect=expect,
        )  # fmt: skip
        outcome = await self._decider.handle(asked)
        if prefer and isinstance(outcome.refused, Unknown):
            outcome = await self._in_time(outcome, asked, prefer, scope)
        await self._answer(outcome, scope, receive, send)

    def _command(self, body: bytes, path: Mapping[str, str]) -> Command:
        """The command in the body; path parameters that are fields of it may not contradict it."""
        if not self._fills:
            return bodies.parse(self._declared.model, body)
        bodies.check(body)
        fields = bodies.loads(body) if body else {}
        if isinstance(fields, dict):
            for name in self._fills:
                if fields.setdefault(name, path[name]) != path[name]:
                    raise Problem.invalid({f"/{name}": "differs from the path"})
        return bodies.parse(self._declared.model, orjson.dumps(fields))

    def _expected(self, headers: Mapping[bytes, bytes]) -> int | None:
        wanted = headers.get(b"if-match")
        if wanted is None and self._declared.if_match:
            raise Problem("if-match-missing")
        if wanted is None or wanted == b"*":
            return None
        found = _ETAG.match(wanted)
        if found is None:
            raise Problem("stale-version", "If-Match names no version of this")
        return int(found[1])

    def _subject(self, command: Command, path: Mapping[str, str], message_id: UUID) -> UUID:
        if self._declared.subject is not None:
            return self._declared.subject(path, command)
        if self._declared.creates:
            return subject_of_new(self._declared, command, message_id)
        try:
            return UUID(path["subject"])
        except ValueError:
            raise Problem("not-found") from None

    async def _in_time(self, outcome: Outcome, asked: Asked, prefer: str, scope: Scope) -> Outcome:
        """The outcome once everything is known here, or when the caller likes to wait no longer."""
        deadline, into = time.monotonic() + positions.seconds_of(prefer), self._declared.into
        for rest in positions.rests():
            left = deadline - time.monotonic()
            if left <= 0 or self._declared.creates or not isinstance(outcome.refused, Unknown):
                break
            with telemetry.waited_for(scope):
                here = await self._runtime.positions.here(into, asked.subject, left)
                # Not here means that the time is over, or that too many wait: then it is decided once a second.
                await asyncio.sleep(min(rest if here else 1.0, max(0.0, deadline - time.monotonic())))
            outcome = await self._decider.handle(asked)
        return outcome

    async def _answer(self, outcome: Outcome, scope: Scope, receive: Receive, send: Send) -> None:
        if outcome.error is not None:
            raise outcome.error
        if outcome.refused is not None:
            response = answer(scope, outcome.refused)
            if outcome.refused.status == 412:
                response.headers["etag"] = f'"{outcome.edit_version}"'
            if outcome.replayed:
                response.headers["idempotent-replay"] = "true"
            await response(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(outcome.answer)),
            (b"etag", b'"%d"' % outcome.edit_version),
            (b"throughline-position", b"%b/%b@%d" % (self._topic, str(outcome.subject).encode(), outcome.sequence)),
        ]
        if self._declared.creates:
            headers.append((b"location", f"{self._prefix}{self._declared.path}/{outcome.subject}".encode()))
        if outcome.replayed:
            headers.append((b"idempotent-replay", b"true"))
        await send({"type": "http.response.start", "status": self._declared.status, "headers": headers})
        await send({"type": "http.response.body", "body": outcome.answer})


def _message_id(headers: Mapping[bytes, bytes], caller: Caller) -> UUID:
    key = headers.get(b"idempotency-key")
    if key is None or _KEY.match(key) is None:
        raise Problem("idempotency-key-missing")
    return key_id(caller.principal, key.decode("ascii"))


def _hash(scope: Scope, body: bytes, if_match: bytes) -> bytes:
    asked = b"%b %b %b\n" % (scope["method"].encode(), scope["path"].encode(), if_match)
    return blake2b(asked + body, digest_size=16).digest()


def _check_http(command: Command, caller: Caller) -> None:
    wrong = {f"/{name}": "only on inbound topics" for name in ONLY_INBOUND if getattr(command, name) is not None}
    if wrong:
        raise Problem.invalid(wrong)
    check_history(command, caller.actor.rights)


def check_history(command: Command, rights: frozenset[str]) -> None:
    """Raise the 403 of somebody who states times of their own without the right to."""
    backdates = command.effective_at is not None or getattr(command, "mode", None) == "history"
    if backdates and HISTORY not in rights:
        raise Problem("backdating-not-allowed", f"needs the scope {HISTORY}")


def with_subject(declared: Declared, command: Command, subject: UUID) -> Command:
    """The command with the id of what it creates in its `id_field`, also where the caller left that open."""
    if declared.id_field is None or getattr(command, declared.id_field) == subject:
        return command
    return command.model_copy(update={declared.id_field: subject})


def subject_of_new(declared: Declared, command: Command, message_id: UUID, said_at: datetime | None = None) -> UUID:
    """The id of what a command creates: the one that the body names, else one made from the message's.

    It begins with the message's own time, so that it is the same whenever the message comes again.
    """
    named = getattr(command, declared.id_field) if declared.id_field else None
    if named is not None:
        return UUID(str(named))
    return derived_id(message_id, time_of(message_id) or said_at or utc_now(), 0, "subject")
