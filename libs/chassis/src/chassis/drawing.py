"""Numbers of gap-free series in the facts of a batch: counted on the first pass, filled in on the second."""

from dataclasses import fields
from functools import cache
from typing import Any

from chassis.decision import Draw, changed


class Numbers:
    """The numbers that were drawn for a batch; none on the first pass, which finds out how many are needed."""

    def __init__(self, drawn: dict[str, list[int]] | None) -> None:
        self.asked: dict[str, int] = {}
        """How many numbers of each series the facts of this batch ask for."""
        self._drawn = drawn

    def fill(self, fact: Any) -> Any:
        """The fact with its numbers; on the first pass as it is."""
        numbers: dict[str, str] = {}
        for name in _places(type(fact)):  # type: ignore[arg-type]
            draw = getattr(fact, name)
            if not isinstance(draw, Draw):
                continue
            self.asked[draw.series] = self.asked.get(draw.series, 0) + 1
            if self._drawn is not None:
                numbers[name] = draw.pattern.format(self._drawn[draw.series].pop(0))
        return changed(fact, **numbers) if numbers else fact


@cache
def _places(fact: type) -> tuple[str, ...]:
    """The fields of a class of facts that may hold a Draw."""
    return tuple(field.name for field in fields(fact) if "Draw" in str(field.type))
