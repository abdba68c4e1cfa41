"""How a reconciliation is asked for and told."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import typer

from cli.reconcile.heard import Heard, Orphan
from cli.reconcile.horizon import Horizon
from cli.reconcile.walking import Bounds, Outcome
from cli.reconcile_command import line, moment, on_its_way, report

NOW = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
FACT = Heard("workflow.requests", "workflow.request-closed", UUID(int=1), 7, UUID(int=2), NOW, {})
ORPHAN = Orphan("not-billed", UUID(int=1), "R-000042", "", NOW, "throughline resend billing R-000042", "billing", FACT)


def outcome(unsent_since: datetime | None = None, behind: dict[tuple[str, str], int] | None = None) -> Outcome:
    unsent = unsent_since.isoformat() if unsent_since else None
    standing = {"service": "billing", "at": NOW.isoformat(), "unsent_since": unsent, "due_since": None}
    bounds = Bounds(NOW, None, timedelta(seconds=60), 500)
    return Outcome(bounds, [standing], Horizon({}, behind or {}), requests=2, facts=30)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-06-04", datetime(2026, 6, 4, tzinfo=UTC)),
        ("2026-06-04T10:00:00+02:00", datetime(2026, 6, 4, 8, tzinfo=UTC)),
    ],
)
def test_since_is_a_moment_or_a_time_ago(said: str, meant: datetime) -> None:
    assert moment(said, NOW) == meant


@pytest.mark.parametrize("said", ["yesterday", "12", "1w", "-1h", "", "999999d", "0001-01-01T00:00+14:00"])
def test_anything_else_is_said_to_be_no_time(said: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time"):
        moment(said, NOW)


@pytest.mark.parametrize("said", ["2026-06-06", "2026-06-05T13:00:01+01:00"])
def test_a_moment_to_come_is_refused_since_nothing_was_told_after_it(said: str) -> None:
    with pytest.raises(typer.BadParameter, match="is still to come"):
        moment(said, NOW)


def test_the_last_line_counts_what_was_found() -> None:
    found = outcome()
    assert line(found) == "reconciliation: balanced, 2 requests, 30 facts, 0 orphans"
    found.put_away = 1
    assert line(found).endswith("0 orphans, 1 put away")
    found.orphans.append(ORPHAN)
    found.unexamined = 3
    assert line(found) == (
        "reconciliation: NOT balanced, 2 requests, 30 facts, 1 orphans, 3 more requests not looked at, 1 put away"
    )


def test_what_was_not_looked_at_is_not_called_balanced() -> None:
    found = outcome()
    assert found.balanced
    found.unexamined = 1
    assert not found.balanced


def test_programs_get_the_fact_the_place_and_the_command() -> None:
    found = outcome()
    found.orphans += [ORPHAN, Orphan("number-missing", UUID(int=0), "INV-2026-000003", "billing", NOW, "x")]
    told: list[dict[str, Any]] = report(found, 1.26)["orphans"]
    assert told[0] == {
        "slug": "not-billed",
        "request_id": UUID(int=1),
        "number": "R-000042",
        "missing_in": "billing",
        "fact": {
            "id": UUID(int=2), "type": "workflow.request-closed", "topic": "workflow.requests", "sequence": 7,
            "time": NOW, "told_at": NOW,
        },
        "why": "",
        "mend": "throughline resend billing R-000042",
    }  # fmt: skip
    assert (told[1]["fact"], told[1]["request_id"]) == (None, None)


@pytest.mark.parametrize(("age", "said"), [(timedelta(seconds=60), 0), (timedelta(seconds=60) + TICK, 1)])
def test_what_the_relay_holds_up_for_a_minute_is_said(age: timedelta, said: int) -> None:
    assert len(list(on_its_way(outcome(NOW - age)))) == said


def test_a_consumer_that_is_behind_is_said() -> None:
    found = outcome(behind={("billing", "workflow.requests"): 12})
    assert list(on_its_way(found)) == ["billing: 12 records of workflow.requests to read"]


def test_what_cannot_be_reached_is_said_in_one_line() -> None:
    nowhere = {"THROUGHLINE_KAFKA_BOOTSTRAP": "127.0.0.1:1", "THROUGHLINE_ADMIN_DATABASE_URL": "postgresql://a@x/y"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
    command = [sys.executable, "-c", "from cli.main import run; run()", "reconcile"]
    done = subprocess.run(command, env=kept | nowhere, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("throughline: KafkaConnectionError")
    assert done.stderr.count("\n") == 1
