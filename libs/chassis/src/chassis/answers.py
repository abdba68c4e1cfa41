"""What is refused or fails, as the problem document that a caller gets."""

import asyncpg
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from chassis import bodies, problems
from chassis.asked import UnknownOutcome
from chassis.database import Unavailable
from chassis.decision import Refused
from chassis.problems import Problem

_SLUGS = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}


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
