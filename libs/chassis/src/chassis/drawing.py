"""Numbers of gap-free series in the facts of a batch: counted on the first pass, filled in on the second."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import asyncpg

from chassis.decision import Draw, changed

_DRAW = (
    "INSERT INTO series AS s (name, last) VALUES ($1, $2) "
    "ON CONFLICT (name) DO UPDATE SET last = s.last + excluded.last RETURNING last"
)


class Numbers:
    """The numbers that were drawn for a batch; none on the first pass, which finds out how many are needed.

    A `with` around one message: what its facts ask for is given back when anything of it fails.
    """

    def __init__(self, drawn: Mapping[str, Sequence[int]] | None) -> None:
        self.asked: dict[str, int] = {}
        """How many numbers of each series the facts of this batch ask for."""
        self._drawn = drawn
        self._before = self.asked

    def __enter__(self) -> None:
        self._before = dict(self.asked)

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is not None:
            self.asked = self._before

    def fill(self, fact: Any) -> Any:
        """The fact with its numbers; on the first pass as it is."""
        numbers: dict[str, str] = {}
        for name in _places(type(fact)):  # type: ignore[arg-type]
            draw = getattr(fact, name)
            if not isinstance(draw, Draw):
                continue
            place = self.asked.get(draw.series, 0)
            self.asked[draw.series] = place + 1
            if self._drawn is not None:
                numbers[name] = draw.pattern.format(self._drawn[draw.series][place])
        return changed(fact, **numbers) if numbers else fact


@cache
def _places(fact: type) -> tuple[str, ...]:
    """The fields of a class of facts that may hold a Draw."""
    return tuple(field.name for field in fields(fact) if "Draw" in str(field.type))


async def drawn(connection: asyncpg.Connection, asked: Mapping[str, int]) -> dict[str, Sequence[int]]:
    """That many numbers of each series, the lowest first; the series stay locked until the transaction ends."""
    numbers: dict[str, Sequence[int]] = {}
    for series, count in sorted(asked.items()):
        last = await connection.fetchval(_DRAW, series, count)
        numbers[series] = range(last - count + 1, last + 1)
    return numbers
