"""Lists in pages: `limit` up to 200, an opaque cursor, `Link: rel="next"`. No totals, no offsets."""

import base64
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import orjson
from fastapi import Depends, Query, Request
from pydantic import BaseModel, PrivateAttr, TypeAdapter, ValidationError

from chassis.problems import Problem
from chassis.projection import Shown

MAX_LIMIT = 200

R = TypeVar("R")
T = TypeVar("T")

_TAGS: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (UUID, "u", str),
    (datetime, "t", datetime.isoformat),
    (date, "d", date.isoformat),
    (Decimal, "n", str),
)
_READ: dict[str, Callable[[str], Any]] = {
    "u": UUID,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "n": Decimal,
}


class Listed(BaseModel, Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    next: str | None = None
    _link: str | None = PrivateAttr(default=None)

    def __class_getitem__(cls, item: Any) -> Any:
        """A page of what is shown as V is described as a page of V."""
        return super().__class_getitem__(get_args(item)[0] if get_origin(item) is Shown else item)

    @property
    def link(self) -> str | None:
        """The header that names the next page (RFC 8288)."""
        return self._link


class Page:
    """The page that was asked for. Queries fetch `fetch` rows after `after`; `of` makes the answer of them."""

    def __init__(self, limit: int, cursor: str | None, request: Request) -> None:
        self.limit = limit
        self._cursor = cursor
        self._request = request

    @property
    def fetch(self) -> int:
        """How many rows to fetch: one more than the page holds shows whether there is a next one."""
        return self.limit + 1

    @property
    def after(self) -> tuple[Any, ...] | None:
        """The key of the last row of the page before, its values as `key` gave them; None on the first page."""
        return None if self._cursor is None else decode(self._cursor)

    def after_as(self, *types: Any) -> tuple[Any, ...] | None:
        """`after`, checked to be of these types: a cursor of another list is the 400 `bad-cursor`."""
        found = self.after
        if found is None:
            return None
        try:
            return _checked(types).validate_python(found, strict=True)
        except ValidationError:
            raise Problem("bad-cursor", "the cursor belongs to another list") from None

    def of(self, rows: Sequence[T], *, key: Callable[[T], Any]) -> Listed[T]:
        """The answer: `rows` are up to `fetch` rows in order, `key` what `after` of the next page is to be."""
        return self.show(rows, lambda row: row, key=key)

    def show(self, rows: Sequence[R], view: Callable[[R], T], *, key: Callable[[R], Any]) -> Listed[T]:
        """The same of rows that are not views yet; `view` makes them of those that are in the page."""
        items = [view(row) for row in rows[: self.limit]]
        if len(rows) <= self.limit:
            return Listed.model_construct(items=items)
        last = key(rows[self.limit - 1])
        cursor = encode(last if isinstance(last, tuple) else (last,))
        listed: Listed[T] = Listed.model_construct(items=items, next=cursor)
        listed._link = f'<{self._request.scope["path"]}?{self._query(cursor)}>; rel="next"'
        return listed

    def _query(self, cursor: str) -> str:
        """What was asked for, but of the next page."""
        asked = parse_qsl(self._request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return urlencode([*(each for each in asked if each[0] != "after"), ("after", cursor)])


@cache
def _checked(types: tuple[Any, ...]) -> TypeAdapter[tuple[Any, ...]]:
    expected: Any = GenericAlias(tuple, types)
    return TypeAdapter(expected)


def encode(key: tuple[Any, ...]) -> str:
    """A cursor. Its content is nobody's business but ours and may change."""
    return base64.urlsafe_b64encode(orjson.dumps([_tagged(each) for each in key])).rstrip(b"=").decode()


def _tagged(value: Any) -> Any:
    for kind, tag, write in _TAGS:
        if isinstance(value, kind):
            return [tag, write(value)]
    return value


def decode(cursor: str) -> tuple[Any, ...]:
    """The key in a cursor; raises the 400 of what is none."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(_READ[each[0]](each[1]) if isinstance(each, list) else each for each in values)
    except (ValueError, KeyError, IndexError, TypeError, ArithmeticError, AttributeError):
        raise Problem("bad-cursor", "`after` is no cursor") from None


async def _page(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows in a page.")] = 50,
    after: Annotated[str | None, Query(max_length=1000, description="`next` of the page before.")] = None,
) -> Page:
    return Page(limit, after, request)


PageDep = Annotated[Page, Depends(_page)]
