"""A walk over books that move under it: what is missing at first sight alone is no orphan, the second look bounded."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from cli.console import Failed
from cli.reconcile.heard import Heard
from cli.reconcile.horizon import Horizon
from cli.reconcile.mending import Account, Held
from cli.reconcile.walking import Outcome, reconcile
from contracts.registry import SERVICES

NOW = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPACE = UUID(int=7)
NOTHING_HELD = Account("", True, {}, (), ())


def fact(request: int, topic: str, type_: str, sequence: int = 1, **data: Any) -> Heard:
    """Told ten minutes ago on partition 0."""
    at = NOW - 10 * MINUTE
    subject = UUID(int=request)
    return Heard(topic, type_, subject, sequence, uuid5(subject, f"{topic}{sequence}"), at, data, 0, at)


def submitted(request: int) -> Heard:
    return fact(request, "intake.requests", "intake.request-submitted", number=f"R-{request:06d}", mode="history")


def opened(request: int) -> Heard:
    said: dict[str, Any] = {"number": f"R-{request:06d}", "mode": "history", "queue": "it", "stage": "New"}
    return fact(request, "workflow.requests", "workflow.request-opened", **said)


class Shelves:
    """Books kept in memory. What is `late` stands in them once they have been walked over."""

    def __init__(self, *facts: Heard, late: tuple[Heard, ...] = (), account: Account = NOTHING_HELD) -> None:
        self.facts = list(facts)
        self.late = late
        self.kept = account
        self.partitions = dict.fromkeys(SERVICES, 1)
        self.pages = 0
        self.stories = 0

    async def standing(self, service: str) -> dict[str, Any]:
        return {"service": service, "at": NOW.isoformat(), "partitions": self.partitions[service]}

    async def told(self, service: str, partition: int, since: datetime | None) -> AsyncIterator[Heard]:
        for each in self.facts:
            if each.teller == service and (since is None or each.since >= since):
                yield each

    async def story(self, subject: UUID, partition: int) -> list[Heard]:
        self.stories += 1
        return [each for each in (*self.facts, *self.late) if each.subject == subject]

    async def account(self, service: str, subject: UUID) -> Account:
        return replace(self.kept, service=service)


def walked(shelves: Shelves, *, since: datetime | None = None, most: int = 500) -> Outcome:
    horizon = Horizon({}, {})
    return asyncio.run(reconcile(shelves, horizon, since=since, older_than=MINUTE, most=most))


def test_what_is_missing_is_named_with_what_its_service_knows() -> None:
    (orphan,) = walked(Shelves(submitted(1), submitted(2), opened(2))).orphans
    assert (orphan.slug, orphan.number, orphan.service) == ("not-opened", "R-000001", "workflow")
    assert orphan.mend == "throughline resend workflow R-000001"


def test_an_effect_that_came_while_the_books_were_read_is_seen_at_the_second_look() -> None:
    shelves = Shelves(submitted(1), late=(opened(1),))
    assert walked(shelves).balanced
    assert shelves.stories == 1


def test_a_cause_before_the_window_is_fetched_before_its_effect_is_judged() -> None:
    begun = [replace(each, time=NOW - 60 * MINUTE, told_at=NOW - 60 * MINUTE) for each in (submitted(1), opened(1))]
    closed = fact(1, "workflow.requests", "workflow.request-closed", 2, close_no=1, outcome="resolved")
    billed = fact(1, "billing.accounts", "billing.nothing-to-bill", 1, close_no=1)
    shelves = Shelves(*begun, closed, billed)
    assert walked(shelves, since=NOW - 30 * MINUTE).orphans == []
    assert shelves.stories == 1, "it is history, and nobody is told of it: its beginning says so"


def test_an_older_orphan_of_a_suspect_is_not_named_in_a_window_that_begins_later() -> None:
    old = replace(submitted(1), told_at=NOW - 60 * MINUTE)
    closed = fact(1, "workflow.requests", "workflow.request-closed", 1, close_no=1, outcome="resolved")
    found = walked(Shelves(old, closed), since=NOW - 30 * MINUTE)
    assert {orphan.slug for orphan in found.orphans} == {"not-billed"}


@pytest.mark.parametrize(("most", "looked_at"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_no_more_requests_than_allowed_are_looked_at_again(most: int, looked_at: int) -> None:
    shelves = Shelves(*(submitted(n) for n in (1, 2, 3)))
    found = walked(shelves, most=most)
    assert (len(found.orphans), shelves.stories) == (looked_at, looked_at)
    assert found.unexamined == 3 - looked_at


def test_what_an_operator_put_away_is_counted_and_not_named() -> None:
    cause = submitted(1)
    letter = Held(7, cause.id, "skipped", "agreed", put_away=True)
    found = walked(Shelves(cause, account=replace(NOTHING_HELD, letters=(letter,))))
    assert (found.orphans, found.put_away, found.balanced) == ([], 1, True)


def test_what_is_too_much_is_named_without_asking_anybody() -> None:
    twice = replace(opened(1), sequence=2, id=uuid5(SPACE, "twice"))
    (orphan,) = walked(Shelves(submitted(1), opened(1), twice)).orphans
    assert (orphan.slug, orphan.service, orphan.mend) == ("opened-twice", None, "throughline trace R-000001")


def test_services_that_disagree_on_partitions_cannot_be_joined() -> None:
    shelves = Shelves()
    shelves.partitions["billing"] = 6
    with pytest.raises(Failed, match="disagree"):
        walked(shelves)


def test_numbers_are_looked_at_over_all_partitions() -> None:
    total = {"amount": "1.00", "currency": "EUR"}
    billed = [
        fact(n, "billing.accounts", "billing.invoice-issued", close_no=1, number=f"INV-2026-{number:06d}", total=total)
        for n, number in ((1, 1), (2, 3))
    ]
    (orphan,) = walked(Shelves(*billed)).orphans
    assert (orphan.slug, orphan.number) == ("number-missing", "INV-2026-000002")


def test_what_comes_from_nothing_is_named_when_everything_is_read() -> None:
    (orphan,) = walked(Shelves(opened(1))).orphans
    assert (orphan.slug, orphan.service) == ("opened-from-nothing", None)
    assert walked(Shelves(opened(1)), since=NOW - 30 * MINUTE).balanced
