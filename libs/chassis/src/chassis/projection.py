"""Views that are shown as they are stored: fields of a state's JSON, and what stands in columns beside it."""

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

import orjson
from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema

V = TypeVar("V", bound=BaseModel)


class Shown(dict[str, Any], Generic[V]):
    """The JSON fields of the view V, a plain dict at run time. In a route's signature it is described as V is.

    What it holds was checked when it was written, and is not checked again.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(get_args(source)[0])


class Projection(Generic[V]):
    """The fields that a view has in common with a state; the others are given with each row.

    Raises TypeError where a view names the fields of a part and the part has others: all of a part is shown.
    """

    def __init__(self, view: type[V], state: type[Any]) -> None:
        kept = {each.name: each for each in fields(state)}
        types = get_type_hints(state)
        self._names = tuple(name for name in view.model_fields if name in kept)
        self._before = {name: _default(kept[name]) for name in self._names}
        for name in self._names:
            named = _parts(view.model_fields[name].annotation)
            if named and named != _parts(types[name]):
                raise TypeError(f"{view.__name__}.{name} is not all of {state.__name__}.{name}")

    def of(self, state: str | bytes, **others: Any) -> Shown[V]:
        """The view of a state as it is stored, and of `others`, which the state does not know."""
        stored = orjson.loads(state)
        try:
            for name in self._names:
                others[name] = stored[name]
        except KeyError:  # written before the state had all of these fields
            others.update({**self._before, **{name: stored[name] for name in self._names if name in stored}})
        return cast("Shown[V]", others)


def _default(field: Any) -> Any:
    return None if field.default is MISSING else field.default


def _parts(annotation: Any) -> list[list[str]]:
    """The names in each record or view that a type is made of."""
    return sorted(_names(annotation))


def _names(annotation: Any) -> Iterator[list[str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield sorted(annotation.model_fields)
    elif is_dataclass(annotation):
        yield sorted(each.name for each in fields(annotation))
    for each in get_args(annotation):
        yield from _names(each)
