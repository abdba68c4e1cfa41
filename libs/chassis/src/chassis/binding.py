"""What a read's function is called with: FastAPI's declarations, made into a plan once instead of at every request."""

from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticUndefined

_NOT_TAKEN = ("header_params", "cookie_params", "body_params")


class Plan:
    """Values of the path and the query, each of which is one value, and the coroutines that a route depends on.

    Everything is validated by the fields that FastAPI made for the description; nothing else can be declared.
    """

    def __init__(self, dependant: Dependant) -> None:
        taken = [field.name for kind in _NOT_TAKEN for field in getattr(dependant, kind)]
        if taken or dependant.call is None:
            raise TypeError(f"{dependant.path}: a read takes values of the path and the query, not {taken}")
        self._call = dependant.call
        self._request_as = dependant.request_param_name
        self._before = [(each.name, Plan(each)) for each in dependant.dependencies]
        fields = [("path", each) for each in dependant.path_params] + [
            ("query", each) for each in dependant.query_params
        ]
        self._fields = [(each.name, (where, each.alias), each, each.get_default()) for where, each in fields]

    async def __call__(self, request: Request) -> Any:
        """What the function returns; raises RequestValidationError with every wrong value."""
        scope = request.scope
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        errors: list[Any] = []
        arguments = await self._arguments(request, {"path": scope["path_params"], "query": query}, errors, {})
        if errors:
            raise RequestValidationError(errors)
        return await self._call(**arguments)

    async def _arguments(
        self, request: Request, given: dict[str, dict[str, str]], errors: list[Any], known: dict[Any, Any]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, plan in self._before:
            value = known.get(plan._call, known)
            if value is known:  # nobody has asked for it yet
                wrong = len(errors)
                arguments = await plan._arguments(request, given, errors, known)
                if len(errors) > wrong:
                    continue
                value = known[plan._call] = await plan._call(**arguments)
            if name is not None:
                found[name] = value
        for name, place, field, default in self._fields:
            value = given[place[0]].get(place[1])
            if value is not None:
                found[name], wrongs = field.validate(value, loc=place)
                errors += wrongs
            elif default is PydanticUndefined:
                errors.append({"type": "missing", "loc": place, "msg": "Field required"})
            else:
                found[name] = default
        if self._request_as is not None:
            found[self._request_as] = request
        return found
