"""Rows of the journal as records: everything that the chassis itself states can go out."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from chassis.publishing import COLUMNS, record_of
from contracts.envelope import from_headers

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ID = UUID(int=7)


def row(actor: str | None) -> list[object]:
    """What the relay reads of a row that says this of its actor."""
    fields: dict[str, object] = {
        "grp": 0, "seq": 1, "recorded_at": NOON, "topic": "billing.accounts", "event_id": ID, "type": "billing.thing",
        "version": 1, "key": str(ID), "sequence": 3, "occurred_at": NOON, "actor": actor, "correlation_id": ID,
        "causation_id": None, "hop": 0, "traceparent": None, "data": "{}", "personal": None,
    }  # fmt: skip
    return [fields[name.removeprefix("j.")] for name in COLUMNS.split(", ")]


@pytest.mark.parametrize(
    ("actor", "told"),
    [
        (None, (None, None)),
        ('{"kind":"system"}', ("system", None)),
        ('{"kind":"system","id":null}', ("system", None)),
        (f'{{"kind":"person","id":"{ID}"}}', ("person", ID)),
    ],
)
def test_a_record_says_who_did_it_whether_or_not_there_is_an_id(
    actor: str | None, told: tuple[str | None, UUID | None]
) -> None:
    envelope = from_headers(record_of(row(actor), "/billing").headers)
    assert (envelope.actor_kind, envelope.actor_id) == told
