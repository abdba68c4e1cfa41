"""What was read is judged: an honest life has no violation, and each read that was shown the wrong thing is found."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from cli.demo.organisation import AGENTS, CONTACTS, organisation_of
from cli.reconcile.heard import Heard
from testkit.chaos.auditor import LAWS
from testkit.chaos.evidence import Evidence
from testkit.chaos.laws.reads import acts_are_shown, lists_show_ones_own
from testkit.chaos.operations import Operation, Operations

REQUEST = UUID(int=7)
SUBMITTED, NOTED = ("intake.requests", REQUEST, 1), ("workflow.requests", REQUEST, 2)
CLOSED, REOPENED = ("workflow.requests", REQUEST, 4), ("workflow.requests", REQUEST, 6)
CHARGED = ("billing.accounts", REQUEST, 1)


def told(what: str, place: str, at: float, **more: Any) -> Operation:
    """One that was asked at a second, and answered in half a second."""
    return Operation(what, f"k{at}", "http", more.pop("outcome", "ok"), 0.5, more.pop("subject", REQUEST), place=place,
                     began=at, ended=at + 0.5, **more)  # fmt: skip


LIFE = (
    told("submit", "intake", 0, position=SUBMITTED),
    told("read", "workflow", 1, awaited=SUBMITTED, shown={"version": 1, "closed": 0, "notes": 0, "charges": 0}),
    told("note", "workflow", 2, position=NOTED, shown={"version": 1, "notes": 1, "closed": 0}),
    told("read", "workflow", 3, awaited=NOTED, shown={"version": 1, "closed": 0, "notes": 1, "charges": 0}),
    told("charge", "billing", 4, position=CHARGED, shown={"version": 1, "charges": 1}),
    told("read", "workflow", 5, awaited=CHARGED, shown={"version": 1, "closed": 0, "notes": 1, "charges": 1}),
    told("close", "workflow", 6, position=CLOSED, shown={"version": 3, "closed": 1}),
    told("read", "intake", 7, awaited=CLOSED, shown={"version": 0, "closed": 1}),
    told("read", "billing", 8, awaited=CLOSED, shown={"version": 1, "charges": 1, "closed": 1}),
    told("reopen", "workflow", 9, position=REOPENED, shown={"version": 5, "closed": 0}),
    told("read", "workflow", 10, awaited=REOPENED, shown={"version": 5, "closed": 0, "notes": 1, "charges": 1}),
)


def found(*operations: Operation) -> list[str]:
    return [name for name, _, _ in acts_are_shown(Evidence(Operations(list(operations))))]


def changed(n: int, **more: Any) -> list[Operation]:
    """The life, in which one thing was answered otherwise."""
    return [*LIFE[:n], replace(LIFE[n], **more), *LIFE[n + 1 :]]


def test_who_is_always_shown_what_was_accepted_sees_nothing_wrong() -> None:
    assert found(*LIFE) == []


@pytest.mark.parametrize(
    ("n", "more", "name"),
    [
        (1, {"outcome": "refused", "status": 404}, "read-misses-request"),
        (3, {"outcome": "refused", "status": 404}, "read-misses-request"),
        (3, {"shown": {"version": 1, "notes": 0}}, "read-misses-act"),
        (5, {"shown": {"version": 1, "notes": 1, "charges": 0}}, "read-misses-act"),
        (7, {"shown": {"version": 0, "closed": 0}}, "read-misses-act"),
        (8, {"shown": {"version": 1, "charges": 0, "closed": 1}}, "read-misses-act"),
        (8, {"shown": {"version": 1, "charges": 1, "closed": 0}}, "read-misses-act"),
        (10, {"shown": {"version": 4, "closed": 0}}, "read-misses-act"),
        (10, {"shown": {"version": 5, "closed": 1}}, "read-misses-act"),
    ],
)
def test_a_read_that_does_not_show_what_was_accepted_is_found(n: int, more: dict[str, Any], name: str) -> None:
    assert name in found(*changed(n, **more))


def test_a_read_that_shows_less_than_an_earlier_one_is_found_whoever_read_and_without_any_act() -> None:
    first = told("read", "workflow", 20, who="ines.ferreira", shown={"version": 9, "notes": 4})
    assert found(*LIFE, first, told("read", "workflow", 21, shown={"version": 9, "notes": 4})) == []
    assert found(*LIFE, first, told("read", "workflow", 21, shown={"version": 9, "notes": 3})) == ["read-goes-back"]
    assert found(*LIFE, first, told("read", "workflow", 21, shown={"version": 8, "notes": 4})) == ["read-goes-back"]


@pytest.mark.parametrize(
    "read",
    [
        told("read", "intake", 7, shown={"closed": 0}),
        told("read", "intake", 7, awaited=NOTED, shown={"closed": 0}),
        told("read", "workflow", 6.2, shown={"version": 1, "closed": 0}),
        told("read", "workflow", 7, outcome="unknown"),
        told("read", "workflow", 7, outcome="refused", status=403),
        told("read", "billing", 7, shown={"version": 1, "charges": 1, "closed": 0}),
    ],
    ids=["no position", "an earlier position", "not answered yet", "unanswered", "refused otherwise", "elsewhere"],
)
def test_what_a_reader_need_not_be_shown_is_no_violation(read: Operation) -> None:
    assert found(*LIFE[:7], read) == []


def test_what_nobody_answered_may_have_happened_or_not_at_any_later_time() -> None:
    unknown = told("reopen", "workflow", 7, outcome="unknown")
    for closed in (0, 1):
        assert found(*LIFE[:7], unknown, told("read", "workflow", 9, shown={"version": 5, "closed": closed})) == []
    refused = told("reopen", "workflow", 7, outcome="refused")
    assert found(*LIFE[:7], refused, told("read", "workflow", 9, shown={"closed": 0})) == ["read-misses-act"]


def test_what_is_asked_while_one_reads_may_be_shown_or_not() -> None:
    reading = told("read", "workflow", 7, shown={"version": 5, "closed": 0})
    assert found(*LIFE[:7], replace(reading, ended=9.2), *LIFE[9:10]) == []
    assert found(*LIFE[:7], reading, *LIFE[9:10]) == ["read-misses-act"]


FIRST, SECOND, COLLEAGUE = CONTACTS[0], CONTACTS[1], CONTACTS[3]


@pytest.mark.parametrize(
    ("who", "service", "whose", "names"),
    [
        (FIRST.login, "intake", FIRST, []),
        (FIRST.login, "intake", COLLEAGUE, ["listed-to-others"]),
        (FIRST.login, "intake", SECOND, ["listed-to-others"]),
        (FIRST.login, "workflow", COLLEAGUE, []),
        (FIRST.login, "workflow", SECOND, ["listed-to-others"]),
        (AGENTS[0].login, "workflow", SECOND, []),
    ],
)
def test_a_contacts_list_shows_what_is_theirs_and_that_of_workflow_their_organisations(
    who: str, service: str, whose: Any, names: list[str]
) -> None:
    data = {"contact_id": str(whose.id), "organisation_id": str(organisation_of(whose))}
    opened = Heard("workflow.requests", "workflow.request-opened", REQUEST, 1, REQUEST, datetime.now(UTC), data)
    listing = told("list", service, 1, subject=None, who=who, listed=(REQUEST, UUID(int=8)))
    evidence = Evidence(Operations([listing]), facts=[opened])
    assert [name for name, _, _ in lists_show_ones_own(evidence)] == names


def test_both_laws_are_the_auditors() -> None:
    assert acts_are_shown in LAWS["I1"]
    assert lists_show_ones_own in LAWS["I9"]
