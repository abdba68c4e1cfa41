"""What tests of a domain need: reference data in memory, folds, and proof that facts keep their contract."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from chassis.aggregate import Aggregate
from chassis.decision import Unknown
from chassis.ids import derived_id
from chassis.journal import Codec, Kind
from chassis.writing import merged
from contracts import registry

NOON = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
MESSAGE = UUID("019b0000-0000-7000-8000-000000000001")


class Facts:
    """Reference data for one decision, as a `Known`.

    `documents` maps (kind, id) to the domain's record; numbers count up from 1.
    """

    def __init__(
        self,
        documents: dict[tuple[str, str], Any] | None = None,
        *,
        holders: dict[str, UUID] | None = None,
        message: UUID = MESSAGE,
        at: datetime = NOON,
    ) -> None:
        self.documents = documents or {}
        self.holders = holders or {}
        self._message = message
        self._at = at
        self._numbers: dict[str, int] = {}

    def get(self, kind: str, id: object) -> Any | None:
        return self.documents.get((kind, str(id)))

    def require(self, kind: str, id: object) -> Any:
        found = self.get(kind, id)
        if found is None:
            raise Unknown(f"{kind} {id} is not known here")
        return found

    def holder(self, claim: str) -> UUID | None:
        return self.holders.get(claim)

    def number(self, series: str) -> int:
        self._numbers[series] = self._numbers.get(series, 0) + 1
        return self._numbers[series]

    def new_id(self, n: int = 0) -> UUID:
        return derived_id(self._message, self._at, n, "id")


def fold(aggregate: Aggregate[Any], facts: Iterable[Any], state: Any = None) -> Any:
    """The state that facts make."""
    for fact in facts:
        state = aggregate.evolve(state, fact)
    return state


def check_codec(codec: Codec, examples: Sequence[Any]) -> None:
    """Every class of facts has an example; each one's bytes keep its contract to the letter and read back as itself."""
    covered = {type(example) for example in examples}
    missing = [kind.fact.__name__ for kind in codec.kinds if kind.fact not in covered]
    assert not missing, f"no example of {missing}"
    kinds = {kind.fact: kind for kind in codec.kinds}
    for example in examples:
        _check(codec, kinds[type(example)], example)


def _check(codec: Codec, kind: Kind, example: Any) -> None:
    row = codec.encode(example)
    if row.data is not None:
        less = codec.erased(row.type, row.version, row.private) if row.private else None
        erased = codec.decode(row.type, row.version, row.data, None, less or row.private)
        assert type(erased) is kind.fact, "an erased row must still be read"
    back = codec.decode(row.type, row.version, row.data, row.personal, row.private)
    assert back == example, f"{example!r} reads back as {back!r}"
    if row.topic is None or row.data is None:
        return
    event = registry.find(row.type, row.version)
    body = merged(row.data, row.personal)
    assert event is not None, f"{row.type}.v{row.version} is no event of the contract"
    assert body is not None
    event.model_validate_json(body)
    private = kind.private & set(orjson.loads(body))
    assert not private, f"{sorted(private)} of {kind.fact.__name__} leave the house"
