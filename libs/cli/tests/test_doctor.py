"""What the doctor makes of what it sees, on both sides of every bound."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.schema import revisions
from chassis.topics import Change
from cli.health import brokers, databases
from cli.health.finding import OK, WATCH, WRONG
from testkit.streams import Wire, make_topics

NOW = datetime(2026, 6, 5, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HELD = {"holder": "pod-1", "held": True}


def unsent(age: timedelta, relay: dict[str, Any] = HELD) -> tuple[str, str]:
    found = databases.unsent("billing", {"facts": 3, "oldest": NOW - age}, relay, NOW)
    return found.state, found.do


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (databases.UNSENT_WATCH, OK),
        (databases.UNSENT_WATCH + TICK, WATCH),
        (databases.UNSENT_WRONG, WATCH),
        (databases.UNSENT_WRONG + TICK, WRONG),
    ],
)
def test_unsent_facts_are_judged_by_the_oldest(age: timedelta, state: str) -> None:
    assert unsent(age)[0] == state


def test_without_a_relay_the_doctor_says_to_start_one() -> None:
    _, do = unsent(timedelta(minutes=2), {"holder": None, "held": None})
    assert "--role relay" in do
    assert "pod-1" in unsent(timedelta(minutes=2))[1]


def test_nothing_unsent_is_well() -> None:
    found = databases.unsent("billing", {"facts": 0, "oldest": None}, HELD, NOW)
    assert (found.state, found.do) == (OK, "")


@pytest.mark.parametrize(
    ("late", "state"),
    [
        (databases.WAKE_WATCH, OK),
        (databases.WAKE_WATCH + TICK, WATCH),
        (databases.WAKE_WRONG + TICK, WRONG),
    ],
)
def test_timers_are_judged_by_the_latest(late: timedelta, state: str) -> None:
    assert databases.due("workflow", {"timers": 1, "oldest": NOW - late}, NOW).state == state


def test_a_schema_at_the_head_is_well_an_older_one_is_wrong_a_newer_one_is_watched() -> None:
    head = revisions("intake.migrations")[0]
    states = [databases.revision("intake", found).state for found in (head, None, "9999")]
    assert states == [OK, WRONG, WATCH]


def waits(*, stuck: bool) -> list[dict[str, Any]]:
    return [{"reason": "error", "messages": 2, "requests": 1, "oldest": NOW, "stuck": stuck}]


def test_what_only_an_operator_can_decide_is_wrong() -> None:
    assert [each.state for each in databases.waiting("intake", waits(stuck=True))] == [WRONG]
    assert [each.state for each in databases.waiting("intake", waits(stuck=False))] == [WATCH]
    assert [each.state for each in databases.waiting("intake", [])] == [OK]


def test_dead_letters_are_watched() -> None:
    assert databases.dead("intake", {"letters": 1, "oldest": NOW}).state == WATCH
    assert databases.dead("intake", {"letters": 0, "oldest": None}).state == OK


@pytest.mark.parametrize(
    ("behind", "seconds", "state"),
    [
        (None, 0.0, OK),
        (0, 0.0, OK),
        (brokers.LAG_WATCH, brokers.LAG_SECONDS, OK),
        (brokers.LAG_WATCH + 1, 0.0, WATCH),
        (1, brokers.LAG_SECONDS + 0.1, WATCH),
    ],
)
def test_lag_is_judged_by_its_size_and_its_age(behind: int | None, seconds: float, state: str) -> None:
    assert brokers.lag("intake", "intake", behind, seconds).state == state


@pytest.mark.servers
async def test_commands_of_which_nothing_was_applied_yet_are_behind(kafka: Any, prefix: str) -> None:
    await make_topics(kafka.bootstrap, prefix, [], ["intake/erp"])
    async with Wire(kafka.bootstrap, prefix) as wire:
        for _ in range(2):
            await wire.send("intake.commands.erp", b"a", b"{}", [])
    options = {"bootstrap_servers": kafka.bootstrap}
    [intake] = [one for one in await brokers.lags(prefix, options) if one.what == f"group {prefix}.intake.commands"]
    assert intake.said == "2 record(s) behind"


def test_topics_are_compared_with_the_contract() -> None:
    changes = [
        Change("intake.requests", "missing", "12"),
        Change("intake.contacts", "partitions", "12", "3"),
        Change("billing.accounts", "retention.ms", "1", "2"),
    ]
    assert [each.state for each in brokers.topics(changes)] == [WRONG, WRONG, WATCH]
    assert [each.state for each in brokers.topics([])] == [OK]
