"""What is shown as it is stored: the fields of the view, no others, also of what was written long ago."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import orjson
import pytest
from fastapi import FastAPI, Header
from pydantic import BaseModel, TypeAdapter

from chassis.decision import record
from chassis.http import Routes
from chassis.journal import to_json
from chassis.paging import Listed
from chassis.projection import Projection, Shown

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)


@record
class By:
    kind: str
    secret: str = ""


@record
class Till:
    name: str
    opened_at: datetime
    secret: str
    by: By | None = None
    floor: int = 3


class TillView(BaseModel):
    """A till."""

    id: int
    name: str
    opened_at: datetime
    floor: int


class ByView(BaseModel):
    kind: str


class WithBy(BaseModel):
    by: ByView | None


STATE = to_json(Till("front", NOON, "4711"))


def test_a_view_has_its_own_fields_of_the_state_and_those_given_beside() -> None:
    shown = Projection(TillView, Till).of(STATE, id=7)
    assert shown == {"id": 7, "name": "front", "opened_at": "2026-06-05T12:00:00Z", "floor": 3}
    assert TypeAdapter(Shown[TillView]).validate_python(shown) == TillView(id=7, name="front", opened_at=NOON, floor=3)


def test_a_state_that_was_written_before_it_had_a_field_is_shown_with_the_fields_default() -> None:
    old = {name: value for name, value in orjson.loads(STATE).items() if name != "floor"}
    assert Projection(TillView, Till).of(orjson.dumps(old), id=7) == Projection(TillView, Till).of(STATE, id=7)


def test_a_view_that_names_only_some_fields_of_a_part_is_refused_because_all_of_it_would_be_shown() -> None:
    with pytest.raises(TypeError, match=r"WithBy\.by is not all of Till\.by"):
        Projection(WithBy, Till)


def test_what_is_shown_is_described_as_its_view() -> None:
    assert TypeAdapter(Shown[TillView]).json_schema() == TypeAdapter(TillView).json_schema()
    assert Listed[Shown[TillView]] is Listed[TillView]


def test_a_read_cannot_take_what_is_not_in_the_path_or_the_query() -> None:
    routes = Routes("toy")

    @routes.get("/tills", scope="tills:read")
    async def tills(colour: Annotated[str, Header()]) -> dict[str, Any]:
        return {"colour": colour, "id": uuid4()}

    with pytest.raises(TypeError, match="colour"):
        routes.install(FastAPI())
