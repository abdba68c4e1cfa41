"""Chaos before anything is started: which faults are meant, what a seed plans, what is entered and what is told."""

import random
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis import inbound
from chassis.clients import Client
from chassis.failpoints import POINTS
from cli.demo import scenario
from cli.demo.crm import SERVICES
from testkit.chaos import session
from testkit.chaos.__main__ import main
from testkit.chaos.auditor import INVARIANTS, Violation, late_recovery
from testkit.chaos.catalogue import FAULTS, SETS, UnknownFault, chosen, needs_disks, needs_links, refused, skipped
from testkit.chaos.evidence import POISON, service
from testkit.chaos.experiment import Result, Shape, arrivals, set_of
from testkit.chaos.laws.recovering import BOUNDS, BUSY, GIVEN_UP_AFTER, bound_of
from testkit.chaos.load import plan
from testkit.chaos.machine import Turns, slowed, turns
from testkit.chaos.matrix import Run, failures, figures, matrix, told
from testkit.chaos.matrix import failed as did_fail
from testkit.chaos.operations import Operation, Operations, act_of, marker_of, percentile, position_of
from testkit.chaos.poison import without_envelope, without_sense
from testkit.chaos.record import run_of
from testkit.chaos.watching import Seeing

REQUEST = UUID(int=7)
PATH = f"/requests/{REQUEST}"
ROOT = Path(__file__).parents[3]
PAGE, MAKEFILE = ROOT / "docs/reliability.md", ROOT / "Makefile"


def test_sets_and_single_faults_are_chosen_by_name_each_once() -> None:
    assert chosen("F2,kafka-kill,F4") == ["rolling", "kafka-kill", "kafka-away", "kafka-long-away"]
    assert chosen("all") == list(FAULTS)
    with pytest.raises(UnknownFault, match="earthquake"):
        chosen("quick,earthquake")


def test_every_set_names_faults_that_there_are_and_every_failpoint_has_one() -> None:
    assert {name for names in SETS.values() for name in names} <= set(FAULTS)
    assert {f"at-{point}" for point in POINTS} <= set(SETS["F1"])


def test_only_faults_of_disks_need_mounts_and_what_cannot_be_made_here_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert needs_disks(["kafka-kill", "disk-kafka"])
    assert not needs_disks(["kafka-kill", "clock-fast"])
    monkeypatch.setattr("testkit.chaos.mounts.apart", lambda: "not root")
    monkeypatch.setattr("testkit.chaos.skewed.library", lambda: None)
    assert skipped(["kafka-kill"]) == {}
    reasons = skipped(["kafka-kill", "disk-kafka", "clock-fast"])
    assert set(reasons) == {"disk-kafka", "clock-fast"}
    assert reasons["disk-kafka"] == "not root"
    assert "libfaketime" in reasons["clock-fast"]


def test_what_was_asked_for_by_its_name_is_refused_where_it_cannot_be_made_and_a_set_goes_on_without_it() -> None:
    missing = {"disk-kafka": "not root", "disk-postgres": "not root"}
    assert refused("F8,kafka-kill", missing) == []
    assert refused("kafka-kill,disk-kafka,all", missing) == ["disk-kafka cannot be made here: not root"]


@pytest.mark.parametrize(("faults", "status"), [("clock-fast", 2), ("earthquake", 2)])
def test_a_session_that_cannot_do_what_it_was_asked_for_starts_nothing_and_says_why(
    faults: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("testkit.chaos.skewed.library", lambda: None)
    monkeypatch.setattr("testkit.chaos.__main__.session", None)
    assert main(["--faults", faults]) == status
    told, said = capsys.readouterr()
    assert told == ""
    assert said.startswith("chaos: ")
    assert faults in said
    assert said.count("\n") == 1


def test_a_set_of_which_nothing_can_be_made_here_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testkit.chaos.skewed.library", lambda: None)
    assert main(["--faults", "F9"]) == 0


def test_every_fault_is_explained_and_every_set_that_is_explained_can_be_asked_for() -> None:
    rows = PAGE.read_text().partition("## The faults\n")[2].partition("\n### ")[0].splitlines()
    sets = [row.split(" | ")[0].removeprefix("| ") for row in rows if row.startswith("| ")][1:]
    apart = [name for name in sets if name not in SETS]
    assert apart == ["F5"]
    assert all(f"ifeq ($(FAULTS),{name})" in MAKEFILE.read_text() for name in apart)
    unexplained = [name for name in FAULTS if f"`{name}`" not in "\n".join(rows)]
    assert [name for name in unexplained if not name.startswith(("at-", "pause-")) and "-link-" not in name] == []


def test_a_fault_that_takes_its_time_has_requests_begin_for_as_much_longer() -> None:
    shape = Shape(seconds=10.0, rate=2.0, crowd=20.0)
    usual, more = (arrivals(random.Random(3), shape, longer=longer) for longer in (0.0, 30.0))
    assert 8 < max(each.at for each in usual) < 10
    assert 38 < max(each.at for each in more) < 40


def test_a_skipped_fault_is_told_and_fails_nothing() -> None:
    passed_by = Result("disk-kafka", 7, skipped="not root")
    assert not passed_by.failed
    assert told(passed_by) == "disk-kafka: SKIPPED, not root"


def test_only_faults_of_links_need_proxies() -> None:
    assert needs_links(["kafka-kill", "kafka-link-slow"])
    assert not needs_links(["kafka-kill", "storm"])


def test_a_seed_plans_the_same_arrivals_every_time_and_another_seed_others() -> None:
    one = plan(4, "run", 5.0, 60.0)
    assert one == plan(4, "run", 5.0, 60.0)
    assert [arrival.at for arrival in one] != [arrival.at for arrival in plan(5, "run", 5.0, 60.0)]


def test_arrivals_come_at_the_rate_and_within_the_time_and_each_is_marked_as_its_own() -> None:
    arrivals = plan(4, "run", 5.0, 100.0)
    assert 400 < len(arrivals) < 600
    assert all(0 < before.at < after.at < 100 for before, after in pairwise(arrivals))
    markers = [marker_of(arrival.life.summary) for arrival in arrivals]
    assert len(set(markers)) == len(markers)
    assert all(marker.startswith("run-") for marker in markers)


def test_some_callers_ask_once_and_some_clocks_run_out_while_one_watches() -> None:
    arrivals = plan(4, "run", 5.0, 100.0)
    assert 0.05 < sum(not arrival.careful for arrival in arrivals) / len(arrivals) < 0.3
    assert all(arrival.careful for arrival in arrivals if arrival.life.by == "crm")
    planned = {life.n: life.late_minutes for life in scenario.lives(4, 2000)}
    soon = [arrival for arrival in arrivals if arrival.life.late_minutes != planned[arrival.life.n]]
    assert soon
    assert any(not arrival.life.steps for arrival in soon)
    assert any(arrival.life.steps for arrival in soon)


@pytest.mark.parametrize(
    ("method", "path", "act"),
    [
        ("POST", "/requests", ("submit", None)),
        ("POST", f"{PATH}/close", ("close", REQUEST)),
        ("POST", f"{PATH}/notes", ("note", REQUEST)),
        ("POST", f"{PATH}/charges", ("charge", REQUEST)),
        ("POST", f"{PATH}/decisions", ("vote", REQUEST)),
        ("GET", PATH, ("read", REQUEST)),
        ("GET", f"{PATH}/approvals", ("read", REQUEST)),
        ("POST", "/teams", ("teams", None)),
    ],
)
def test_a_call_is_entered_as_what_it_asks_for(method: str, path: str, act: Any) -> None:
    assert act_of(method, path) == act


@pytest.mark.parametrize(
    ("text", "found"),
    [(f"workflow.requests/{REQUEST}@12", ("workflow.requests", REQUEST, 12)), ("", None), (None, None)],
)
def test_a_position_is_read_from_its_header(text: str | None, found: Any) -> None:
    assert position_of(text) == found


@pytest.mark.parametrize(
    ("summary", "marker"), [("Line drops [ab12-7]", "ab12-7"), ("Line drops", ""), ("[x] y", ""), (None, "")]
)
def test_a_mark_is_what_stands_in_brackets_at_the_end(summary: object, marker: str) -> None:
    assert marker_of(summary) == marker


def test_operations_are_counted_by_outcome() -> None:
    operations = Operations()
    for outcome in ("ok", "ok", "refused"):
        operations.add(Operation("submit", "k", "http", outcome, 0.1))  # type: ignore[arg-type]
    assert operations.counts() == {"ok": 2, "refused": 1, "unknown": 0}
    assert len(operations.submissions("ok")) == 2


def result(**changed: Any) -> Result:
    fields: dict[str, Any] = {"said": "kill kafka", "proof": "process 1 is now 2", "recovered": 1.0, **changed}
    return Result("kafka-kill", 7, operations={"ok": 3, "refused": 1, "unknown": 2}, facts=10, duplicates=1, **fields)


def run(**changed: Any) -> Run:
    return run_of(result(**changed), Shape(), "abc1234")


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, False),
        ({"proof": ""}, True),
        ({"recovered": None}, True),
        ({"violations": [Violation("I1", "lost", "7", "gone")]}, True),
        ({"undone": "not carried out: RuntimeError()"}, True),
    ],
)
def test_a_run_fails_by_a_violation_by_no_recovery_by_a_fault_that_did_not_strike_and_by_an_error_of_the_harness(
    changed: dict[str, Any], failed: bool
) -> None:
    assert result(**changed).failed == failed
    assert ("FAILED" in told(result(**changed))) == failed
    assert did_fail(run(**changed)) == failed


def test_the_matrix_counts_violations_by_invariant_runs_strikes_and_recoveries() -> None:
    broken = run(violations=[Violation("I8", "gap", "7", "1 then 3")], proof="", recovered=None)
    line = matrix([run(recovered=2.0, submits=[0.1, 0.2]), broken]).splitlines()[-1]
    assert line.startswith("| kafka-kill | 2 | 1 | 2 | ")
    assert [cell.strip() for cell in line.split("|")[5:-2]] == ["1" if name == "I8" else "0" for name in INVARIANTS]
    assert line.endswith("| 2.0 / 2.0 s |")


def test_every_run_that_failed_is_listed_with_its_seed_its_fault_and_its_reasons() -> None:
    twice = [Violation("I8", "gap", subject, "1 then 3") for subject in ("7", "8")]
    runs = [run(), run(violations=twice, recovered=None), run(proof=""), run(undone="no installation: OSError()")]
    assert failures(runs).splitlines() == [
        "3 runs failed:",
        "",
        "- `kafka-kill`, seed 7, at abc1234: I8 gap (2), did not recover: kill kafka",
        "- `kafka-kill`, seed 7, at abc1234: did not strike: kill kafka",
        "- `kafka-kill`, seed 7, at abc1234: no installation: OSError()",
    ]
    assert failures([run(), run(skipped="not root", proof="")]) == "None of these runs failed."


async def test_a_run_that_the_harness_broke_is_told_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> Result:
        raise RuntimeError("a slip")

    monkeypatch.setattr(session, "experiment", broken)
    said: list[Result] = []
    nobody: Any = None
    with pytest.raises(RuntimeError, match="a slip"):
        await session._until_one_fails(nobody, nobody, 7, ["kafka-kill", "storm"], Shape(), said.append, None)
    assert [(each.fault, each.seed, each.failed) for each in said] == [("kafka-kill", 7, True)]
    assert "a slip" in told(said[0])


@pytest.mark.parametrize(
    ("fault", "seconds", "name"),
    [
        ("kill-api", 30.0 * BUSY, None),
        ("kill-api", 30.0 * BUSY + 0.1, "recovered-late"),
        ("kill-api", None, "not-recovered"),
        ("postgres-kill", 15.0 * BUSY, None),
        ("postgres-kill", 15.0 * BUSY + 0.1, "recovered-late"),
        ("scale", 10.0 * BUSY + 0.1, "recovered-late"),
        ("poison", 30.0 * BUSY, None),
        ("poison", 30.0 * BUSY + 0.1, "recovered-late"),
    ],
)
def test_every_fault_has_a_bound_within_which_the_installation_is_back(
    fault: str, seconds: float | None, name: str | None
) -> None:
    found = late_recovery(fault, set_of(fault), seconds, 1.0)
    assert [(each.invariant, each.name, each.where) for each in found] == ([("I11", name, fault)] if name else [])


def test_a_recovery_may_take_longer_where_others_want_the_cores_but_none_longer_than_is_waited_for() -> None:
    assert late_recovery("postgres-kill", "F6", 15.0 * 4, 4.0) == []
    assert len(late_recovery("postgres-kill", "F6", 15.0 * 4 + 0.1, 4.0)) == 1
    assert len(late_recovery("postgres-kill", "F6", GIVEN_UP_AFTER + 0.1, 40.0)) == 1
    assert len(late_recovery("postgres-kill", "F6", None, 40.0)) == 1


def test_everything_takes_as_many_times_as_long_as_whoever_could_run_has_to_wait() -> None:
    assert slowed(Turns(5, 7), Turns(15, 7)) == 1.0
    assert slowed(Turns(5, 7), Turns(15, 37)) == 4.0
    assert slowed(Turns(0, 0), Turns(0, 0)) == 1.0
    assert turns().ran > 0 or not Path("/proc/self/schedstat").exists()


def test_bounds_are_of_sets_that_there_are_and_none_is_beyond_what_is_waited_for() -> None:
    assert set(BOUNDS) <= set(SETS)
    assert all(set_of(fault) for fault in FAULTS)
    assert max(bound_of(set_of(fault)).seconds for fault in FAULTS) * BUSY < GIVEN_UP_AFTER


def test_the_figures_add_up_and_name_the_worst_runs_lateness() -> None:
    text = figures([run(submits=[0.1, 0.2]), run(late=[0.5])])
    assert "2 runs, 2 requests accepted; 6 operations ok, 2 refused, 4 unknown" in text
    assert "20 records on the topics, 2 of them repeats (10.00%)" in text
    assert "1 breaches, at worst p50 0.50 s late" in text
    assert "at worst: p50 100 ms, p99 0.20 s" in text


@pytest.mark.parametrize(("part", "value"), [(0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(part: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], part) == value
    assert percentile([], part) == 0.0


def seen(version: int, sequence: int, heard: str) -> list[dict[str, Any]]:
    return [{"id": REQUEST, "version": version, "sequence": sequence, "heard": heard}]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (seen(3, 2, '{"workflow.requests": 5}'), []),
        (seen(4, 3, '{"workflow.requests": 6, "intake.requests": 1}'), []),
        (seen(2, 2, '{"workflow.requests": 5}'), ["version was 3, is 2"]),
        (seen(4, 1, '{"workflow.requests": 5}'), ["sequence was 2, is 1"]),
        (seen(4, 2, '{"workflow.requests": 4}'), ["workflow.requests was 5, is 4"]),
        (seen(4, 2, "{}"), ["workflow.requests was 5, is 0"]),
    ],
)
def test_what_goes_back_while_it_is_watched_is_seen(row: list[dict[str, Any]], told: list[str]) -> None:
    seeing = Seeing()
    seeing.look("billing", seen(3, 2, '{"workflow.requests": 5}'))
    seeing.look("workflow", seen(1, 1, "{}"))
    seeing.look("billing", row)
    assert [text.partition(": ")[2] for text in seeing.went_back] == told


CRM = Client("crm", frozenset({"requests:write", "billing:write"}), may_act_for_others=True)


@pytest.mark.parametrize("name", SERVICES)
def test_poison_is_what_it_says_dead_without_an_envelope_and_refused_without_sense(name: str) -> None:
    def read(value: bytes | None, headers: Any) -> object:
        return inbound.inbound(service(name).commands, "crm", CRM, headers, POISON, value, 128 << 10)

    assert [type(read(*record)) for record in without_envelope()] == [inbound.DeadCommand] * len(without_envelope())
    assert [type(read(*record)) for record in without_sense()] == [inbound.RefusedCommand] * len(without_sense())
