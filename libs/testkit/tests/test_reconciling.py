"""Reconciling under load proves itself by what it looked at while others asked, and tells every orphan."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cli.reconcile.heard import Orphan
from cli.reconcile.horizon import Horizon
from cli.reconcile.walking import Bounds, Outcome
from testkit.chaos.operations import Operation, Operations
from testkit.chaos.reconciling import ON_ITS_WAY, Reconciled

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ORPHAN = Orphan("not-billed", UUID(int=7), "R-1", "closed", NOON, "resend")


def outcome(orphans: Sequence[Orphan] = (), **found: Any) -> Outcome:
    bounds = Bounds(NOON, None, timedelta(0), 500)
    return Outcome(bounds, [], Horizon({}, {}), orphans=list(orphans), **{"facts": 40, **found})


def reconciled(*outcomes: Outcome, accepted: int = 2) -> tuple[Reconciled, list[timedelta]]:
    """One whose looks find this, while so many requests are accepted."""
    left, operations, old = list(outcomes), Operations(), list[timedelta]()

    async def look(older_than: timedelta) -> Outcome:
        old.append(older_than)
        for n in range(accepted):
            operations.add(Operation("submit", f"k{n}", "http", "ok", 0.25))
        return left.pop(0)

    operations.add(Operation("submit", "earlier", "http", "ok", 9.0))
    return Reconciled(operations, look, timedelta(0)), old


async def test_it_is_done_under_load_and_after_quiet_and_tells_what_submissions_took_meanwhile() -> None:
    fault, old = reconciled(outcome(), outcome(facts=50))
    await fault.strike()
    await fault.heal()
    assert not fault.struck
    await fault.look_again()
    assert fault.proof == ("40 facts in 0 s under load, 2 submissions meanwhile p50 0.25 s p99 0.25 s; 50 after quiet")
    assert old == [timedelta(0), timedelta(0)]
    assert list(fault.orphans) == []
    assert timedelta(0) < ON_ITS_WAY < timedelta(seconds=60), "stricter than what operators are given"


@pytest.mark.parametrize(
    ("first", "second", "accepted"),
    [(outcome(facts=0), outcome(), 2), (outcome(), outcome(facts=0), 2), (outcome(), outcome(), 0)],
)
async def test_it_proves_nothing_where_there_was_nothing_to_look_at_or_no_load(
    first: Outcome, second: Outcome, accepted: int
) -> None:
    fault, _ = reconciled(first, second, accepted=accepted)
    await fault.strike()
    await fault.look_again()
    assert not fault.struck


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (outcome([ORPHAN]), outcome(), ["not-billed", "under load"]),
        (outcome(), outcome([ORPHAN]), ["not-billed", "after quiet"]),
        (outcome(unexamined=3), outcome(), ["3 requests", "under load"]),
    ],
)
async def test_an_orphan_is_told_whenever_it_is_seen(first: Outcome, second: Outcome, told: list[str]) -> None:
    fault, _ = reconciled(first, second)
    await fault.strike()
    await fault.look_again()
    [said] = fault.orphans
    assert all(word in said for word in told)
