"""From rows to commands: what is sent, in which order, under which ids."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.importing import log, mapping, plan
from cli.importing.log import Log, Unreadable
from cli.importing.plan import Case, Final, Plan
from cli.importing.rows import Row
from testkit import incidentlog

EXAMPLE = Path(__file__).parents[4] / "examples" / "imports" / "vinst.yaml"
VINST = mapping.read(EXAMPLE)
NOON = datetime(2011, 6, 5, 12, tzinfo=UTC)
QUEUED, WORKING, RESOLVED = "Queued", "Accepted/In Progress", "Completed/Resolved"
USER, VENDOR = "Accepted/Wait - User", "Accepted/Wait - Vendor"
CLOSED, IN_CALL, CANCELLED, UNMATCHED = "Completed/Closed", "Completed/In Call", "Completed/Cancelled", "Unmatched"
STATUSES = [QUEUED, WORKING, RESOLVED, USER, VENDOR, CLOSED, IN_CALL, CANCELLED, UNMATCHED]


def row(n: int, status: str, at: datetime | None = None, **values: str | None) -> Row:
    meaning = VINST.meaning((*status.split("/"), "")[:2])
    assert meaning is not None
    base: dict[str, str | None] = dict.fromkeys(mapping.FIELDS)
    base |= {"contact": "Org", "queue": "vinst", "summary": "PROD1 / 1", "impact": "low", "owner": "Ann", "team": "G97"}
    return Row(n + 2, "1", at or NOON + timedelta(minutes=n), meaning, base | values)


def planned(*rows: Row, unreadable: tuple[Unreadable, ...] = ()) -> Plan:
    return plan.plan(Log("hash", len(rows), {"1": list(rows)}, list(unreadable)), VINST)


def case(*statuses: str) -> Case:
    (found,) = planned(*(row(n, status) for n, status in enumerate(statuses))).cases
    return found


def steps(found: Case) -> list[tuple[str, Any]]:
    """(verb, what it says beside its time) of each command."""
    return [
        (
            command.type.rpartition(".")[2],
            next(
                (v for k, v in command.body.items() if k not in ("effective_at", "reason")), command.body.get("reason")
            ),
        )
        for command in found.commands
    ]


def test_a_request_is_created_in_the_stage_of_its_first_row_with_its_times() -> None:
    body = case(WORKING).submission.body
    assert (body["stage"], body["mode"], body["external_reference"]) == ("In Progress", "history", "1")
    assert body["received_at"] == body["occurred_at"] == NOON.isoformat()


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((WORKING, QUEUED), [("jump", "Queued")]),
        ((WORKING, WORKING), []),
        ((WORKING, USER), [("wait", "user")]),
        ((USER,), [("wait", "user")]),
        ((WORKING, USER, WORKING), [("wait", "user"), ("resume", None)]),
        ((WORKING, USER, VENDOR), [("wait", "user"), ("resume", None), ("wait", "vendor")]),
        ((WORKING, USER, USER), [("wait", "user")]),
        ((WORKING, USER, QUEUED), [("wait", "user"), ("jump", "Queued")]),
        ((QUEUED, USER), [("jump", "In Progress"), ("wait", "user")]),
        ((WORKING, USER, CLOSED), [("wait", "user"), ("close", "resolved")]),
        ((RESOLVED, CLOSED), [("close", "resolved")]),
        ((IN_CALL,), [("close", "resolved")]),
        ((WORKING, CANCELLED), [("close", "cancelled")]),
        ((WORKING, CLOSED, CLOSED), [("close", "resolved")]),
        ((WORKING, CLOSED, QUEUED), [("close", "resolved"), ("reopen", "Queued")]),
        ((WORKING, CLOSED, USER), [("close", "resolved"), ("reopen", "In Progress"), ("wait", "user")]),
        ((WORKING, CLOSED, RESOLVED, CLOSED), [("close", "resolved"), ("reopen", "Resolved"), ("close", "resolved")]),
        ((WORKING, UNMATCHED, WORKING), []),
    ],
)
def test_a_change_of_status_becomes_commands(statuses: tuple[str, ...], expected: list[tuple[str, Any]]) -> None:
    assert steps(case(*statuses)) == expected


def test_another_outcome_is_a_reopening_and_another_close() -> None:
    assert [verb for verb, _ in steps(case(WORKING, CANCELLED, CLOSED))] == ["close", "reopen", "close"]


def test_owner_and_team_are_assigned_where_they_change_and_before_a_close() -> None:
    (found,) = planned(
        row(0, WORKING),
        row(1, WORKING, owner="Bob"),
        row(2, WORKING, owner="Bob", team=None),
        row(3, CLOSED, team="S42"),
    ).cases
    assert [set(command.body) - {"effective_at"} for command in found.commands] == [
        {"owner_id"},
        {"team_id"},
        {"owner_id", "team_id"},
        {"outcome"},
    ]
    assert found.commands[1].body["team_id"] is None


def test_what_changes_after_the_end_is_not_sent() -> None:
    (found,) = planned(row(0, WORKING), row(1, CLOSED), row(2, CLOSED, owner="Bob")).cases
    assert steps(found) == [("close", "resolved")]
    assert found.unchanged == 1


def test_priority_and_category_follow_their_columns() -> None:
    (found,) = planned(
        row(0, WORKING), row(1, WORKING, impact="high"), row(2, WORKING, impact="high", category="X")
    ).cases
    assert [command.type for command in found.commands] == ["workflow.change-priority", "workflow.edit"]


def test_a_time_before_the_last_change_counts_as_the_last_change() -> None:
    (found,) = planned(row(0, WORKING), row(1, QUEUED, NOON + timedelta(hours=2)), row(2, WORKING, NOON)).cases
    assert [command.at for command in found.commands] == [NOON + timedelta(hours=2)] * 2
    assert found.out_of_order == 1


def test_a_case_that_means_nothing_here_is_skipped_and_named() -> None:
    found = planned(row(0, UNMATCHED))
    assert (found.cases, found.skipped) == ([], ["1"])


def test_the_end_is_what_the_last_meaningful_row_says() -> None:
    assert case(WORKING, USER).expected == Final("In Progress", "user", None)
    assert case(WORKING, CLOSED, UNMATCHED).expected == Final(None, None, "resolved")


def test_an_end_that_cannot_be_read_is_not_guessed() -> None:
    bad = Unreadable(9, "1", "time-unreadable", "")
    assert planned(row(0, WORKING), unreadable=(bad,)).cases[0].expected is None
    early = Unreadable(1, "1", "time-unreadable", "")
    assert planned(row(0, WORKING), unreadable=(early,)).cases[0].expected is not None


def test_people_teams_contacts_and_queues_are_made_known_once_and_first() -> None:
    setup = planned(row(0, WORKING), row(1, WORKING, owner="Bob")).setup
    assert [command.type for command in setup] == [
        "workflow.draft-queue",
        "workflow.publish-queue",
        "workflow.register-team",
        "workflow.register-person",
        "intake.register-contact",
        "workflow.register-person",
    ]
    assert len({command.id for command in setup}) == len(setup)


lives = st.lists(
    st.tuples(st.sampled_from(STATUSES), st.sampled_from(["Ann", "Bob", None]), st.integers(-60, 600)),
    min_size=1,
    max_size=25,
)


@given(lives)
def test_whatever_a_life_was_its_commands_are_numbered_in_time_and_the_same_again(
    life: list[tuple[str, str | None, int]],
) -> None:
    rows = [row(n, status, NOON + timedelta(minutes=at), owner=owner) for n, (status, owner, at) in enumerate(life)]
    first, second = planned(*rows), planned(*rows)
    assert first == second
    for found in first.cases:
        assert [command.sequence for command in found.commands] == list(range(1, len(found.commands) + 1))
        times = [found.submission.at, *(command.at for command in found.commands)]
        assert times == sorted(times)
        ids = [found.submission.id, *(command.id for command in found.commands)]
        assert len(set(ids)) == len(ids)


@given(lives)
def test_a_closed_request_is_never_commanded_but_to_reopen(life: list[tuple[str, str | None, int]]) -> None:
    rows = [row(n, status, owner=owner) for n, (status, owner, _) in enumerate(life)]
    for found in planned(*rows).cases:
        closed = waiting = False
        for verb, _ in steps(found):
            assert closed == (verb == "reopen")
            assert verb != "resume" or waiting
            closed = verb == "close"
            waiting = verb == "wait" or (waiting and verb not in ("jump", "resume", "close"))


def test_another_file_has_other_ids_and_the_same_people() -> None:
    rows = {"1": [row(0, WORKING), row(1, QUEUED)]}
    one, two = (plan.plan(Log(content, 2, rows), VINST) for content in ("a", "b"))
    assert one.cases[0].request_id != two.cases[0].request_id
    assert one.cases[0].commands[0].id != two.cases[0].commands[0].id
    assert one.setup == two.setup


def test_a_generated_log_has_every_kind_of_command_and_row(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(incidentlog.generate(300, broken=True), encoding="utf-8")
    read = log.read(path, VINST, NOON + timedelta(days=900))
    made = plan.plan(read, VINST)
    verbs = {command.type.rpartition(".")[2] for found in made.cases for command in found.commands}
    assert verbs == {"jump", "assign", "close", "wait", "resume", "reopen"}
    assert len(read.unreadable) == len(incidentlog.BROKEN)
    assert made.skipped == ["1-100008"]
    assert {found.expected.outcome for found in made.cases if found.expected} == {None, "resolved", "cancelled"}
