"""Chaos with volume: the burst, what shares an installation, and which requests an audit looks at."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from cli.reconcile.heard import Heard
from testkit.chaos.archive import Archive
from testkit.chaos.auditor import Violation
from testkit.chaos.catalogue import FAULTS
from testkit.chaos.crowd import BURST_RATE, CHAIN_AT_MOST, took_of
from testkit.chaos.evidence import Evidence
from testkit.chaos.laws.books import series_have_no_gap
from testkit.chaos.operations import Operation, Operations
from testkit.chaos.session import Round, rounds
from testkit.chaos.witness import again

ONE, TWO = UUID(int=1), UUID(int=2)


def fact(subject: UUID, sequence: int, kind: str = "intake.request-submitted", **data: Any) -> Heard:
    identifier = UUID(int=subject.int * 1000 + sequence)
    return Heard(kind.split(".")[0], kind, subject, sequence, identifier, datetime(2026, 11, 24, tzinfo=UTC), data)


def test_a_burst_is_ten_times_a_tenth_of_what_the_chain_was_measured_to_bear() -> None:
    measured = orjson.loads((Path(__file__).parents[3] / "bench/results/chain.json").read_bytes())
    assert measured["unit"] == "requests/s"
    assert pytest.approx(measured["figure"], rel=0.25) == CHAIN_AT_MOST
    assert pytest.approx(CHAIN_AT_MOST) == BURST_RATE


def test_what_a_burst_took_is_told_of_its_own_submissions_that_were_accepted() -> None:
    operations = Operations()
    for marker, outcome, seconds in (
        ("b-1", "ok", 0.4),
        ("b-2", "ok", 0.1),
        ("b-3", "refused", 9.0),
        ("a-1", "ok", 8.0),
    ):
        operations.add(Operation("submit", "k", "http", outcome, seconds, marker=marker))  # type: ignore[arg-type]
    assert took_of(operations, "b") == [0.1, 0.4]


def test_every_fault_is_planned_once_with_every_seed_and_no_more_than_some_share_an_installation() -> None:
    planned = rounds(list(FAULTS), [1, 2], 12)
    assert sorted((name, seed) for seed, names, *_ in planned for name in names) == sorted(
        (name, seed) for name in FAULTS for seed in (1, 2)
    )
    assert max(len(names) for _, names, *_ in planned) == 12
    assert planned == rounds(list(FAULTS), [1, 2], 12)


def test_what_is_done_is_not_planned_again() -> None:
    faults = ["kafka-kill", "kill-api"]
    assert rounds(faults, [1, 2], 5, {("kafka-kill", 1), ("kill-api", 1), ("kill-api", 2)}) == [
        Round(2, ("kafka-kill",))
    ]


def test_faults_that_need_links_or_disks_have_installations_of_their_own() -> None:
    for _, names, *_ in rounds(list(FAULTS), [1], 1000):
        assert len({"-link-" in name or name.startswith("disk-") for name in names}) == 1


def test_an_archive_keeps_facts_by_request_and_tells_repeats() -> None:
    archive = Archive()
    told = [fact(ONE, 1, summary="x [a]"), fact(TWO, 1, summary="y [b]"), fact(ONE, 1, summary="x [a]"), fact(ONE, 2)]
    assert [archive.enter(each) for each in told] == [False, False, True, False]
    assert archive.of([ONE]) == [told[0], told[2], told[3]]
    assert archive.markers_of([ONE]) == {"a"}
    assert archive.made["b"] == {TWO}


def test_operations_about_a_request_are_its_own_and_those_of_which_nothing_was_made() -> None:
    operations = Operations()
    operations.add(Operation("note", "k1", "http", "ok", 0.1, ONE))
    operations.add(Operation("note", "k2", "http", "ok", 0.1, TWO))
    operations.add(Operation("submit", "k3", "http", "unknown", 0.1, None, "a"))
    operations.add(Operation("submit", "k4", "http", "unknown", 0.1, None, "b"))
    operations.add(Operation("submit", "k5", "http", "unknown", 0.1, None, "c"))
    about = operations.about({ONE}, {"a": {ONE}, "b": {TWO}})
    assert [each.key for each in about.all] == ["k1", "k3", "k5"]


def test_only_what_was_not_in_order_is_looked_at_again() -> None:
    scope = {ONE, TWO}
    assert again([Violation("I8", "not-heard", f"billing workflow.requests/{ONE}", "heard 1, told 2")], scope) == {ONE}
    assert again([Violation("I11", "unsent", "billing", "2 facts")], scope) == set()
    assert again([Violation("I3", "number-missing", "INV-2026-000007", "billing")], scope) == scope


@pytest.mark.parametrize(("numbers", "found"), [(("1", "2", "3"), 0), (("1", "3"), 1), (("1", "2", "2"), 1)])
def test_a_series_is_looked_at_as_a_whole_whatever_requests_are(numbers: tuple[str, ...], found: int) -> None:
    total = {"amount": "1.00", "currency": "EUR"}
    issued = [
        fact(UUID(int=n + 10), 1, "billing.credit-note-issued", number=f"CN-2026-00000{number}", total=total)
        for n, number in enumerate(numbers)
    ]
    evidence = Evidence(Operations(), facts=issued[:1], issued=issued)
    assert len(list(series_have_no_gap(evidence))) == found
