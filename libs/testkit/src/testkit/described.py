"""Answers as they are described: what is shown as it is stored must be what its view would say."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from fastapi import FastAPI
from pydantic import TypeAdapter

from chassis.http import ReadRoute


def as_described(app: FastAPI) -> Callable[[httpx2.Response], Awaitable[None]]:
    """A response hook of an HTTP client: fails at the first answer of a read that its description does not fit.

    No field may be missing, none be too many, and each must be written as Pydantic writes it.
    """
    views = [
        (route.path_regex, TypeAdapter[Any](route.response_model))
        for route in app.routes
        if isinstance(route, ReadRoute) and route.response_model is not None
    ]

    async def check(response: httpx2.Response) -> None:
        if response.request.method != "GET" or response.status_code != 200:
            return
        view = next((view for path, view in views if path.match(response.request.url.path)), None)
        if view is not None:
            content = await response.aread()
            assert view.dump_python(view.validate_json(content), mode="json") == response.json()

    return check
