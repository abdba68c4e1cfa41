"""Failpoints: what a setting may say, at which passage they act, and that they are nothing anywhere else."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis import failpoints
from chassis.failpoints import POINTS, Action, Armed, WrongFailpoint, arm, parse

SOURCES = Path(failpoints.__file__).parent


@pytest.fixture
def unarmed() -> Iterator[None]:
    """Nothing stays armed for other tests."""
    yield
    failpoints.armed = None


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("", {}),
        ("relay.sent=kill", {"relay.sent": Action(1, None)}),
        ("relay.sent=kill@7", {"relay.sent": Action(7, None)}),
        ("commit.after=pause(2.5)@3", {"commit.after": Action(3, 2.5)}),
        (
            " relay.sent=kill@2, batch.decided=pause(1) ,",
            {"relay.sent": Action(2, None), "batch.decided": Action(1, 1.0)},
        ),
    ],
)
def test_a_setting_says_which_failpoints_do_what_at_which_passage(text: str, actions: dict[str, Action]) -> None:
    assert parse(text) == actions


@pytest.mark.parametrize(
    "text",
    [
        "relay.sent", "relay.sent=", "relay.sent=die", "relay.sent=kill@", "relay.sent=kill@0", "relay.sent=kill@-1",
        "relay.sent=pause", "relay.sent=pause()", "relay.sent=pause(soon)", "relay.lost=kill", "=kill",
        "relay.sent=kill relay.saved=kill", "relay.sent=kill,relay.sent=kill@2",
    ],
)  # fmt: skip
def test_anything_else_is_wrong(text: str) -> None:
    with pytest.raises(WrongFailpoint):
        parse(text)


def test_a_process_without_the_setting_has_nothing_armed(unarmed: None) -> None:
    arm("")
    assert failpoints.armed is None
    arm("relay.sent=pause(0)")
    assert failpoints.armed is not None


async def test_only_the_named_passage_of_the_named_place_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []
    monkeypatch.setattr("os.kill", lambda pid, number: killed.append(number.name))
    armed = Armed(parse("relay.sent=kill@3"))
    for passage in (1, 2, 3, 4):
        await armed.reach("relay.saved")
        await armed.reach("relay.sent")
        assert killed == ([] if passage < 3 else ["SIGKILL"]), passage


async def test_a_pause_lets_everything_else_of_the_process_go_on() -> None:
    armed = Armed(parse("commit.before=pause(30)"))
    paused = asyncio.create_task(armed.reach("commit.before"))
    await asyncio.sleep(0)
    assert not paused.done()
    await armed.reach("commit.before")
    paused.cancel()


def test_every_failpoint_that_is_named_stands_in_the_code_and_the_other_way_round() -> None:
    code = "".join(path.read_text() for path in SOURCES.glob("*.py") if path.name != "failpoints.py")
    assert set(re.findall(r'armed\.reach\("([a-z.]+)"\)', code)) == set(POINTS)
    guards = len(re.findall(r"if failpoints\.armed is not None(?: and \w+)?:\n +await failpoints\.armed\.reach", code))
    assert guards == len(re.findall(r"await failpoints\.armed\.reach", code))
