"""What fires during a phase is held to what its phase says: too much and too little are both noticed."""

from pathlib import Path

import pytest

from testkit.chaos.alarms import Again, Alert, Phase, Span, questions
from testkit.chaos.faults import Fault
from testkit.promtool import assert_answers

RULES = """
groups:
- name: own
  rules:
  - {alert: Late, expr: late > 1, for: 15s}
  - {alert: Down, expr: up < 1}
"""
SERIES = {
    'late{service="intake"}': "_x2 0 0 0 5 5 0 0 0 0 0",
    'up{service="billing",role="relay"}': "_x2 1 1 1 1 1 1 1 1 0 0",
}
SPANS = [Span(0, 3), Span(3, 6), Span(6, 10)]
LATE, DOWN = Alert("Late", "intake"), Alert("Down", "billing", "relay")
QUIET, FIRST, LAST = Phase("quiet", None, 3), Phase("first", None, 3, [LATE]), Phase("last", None, 4, [DOWN])


def hold(folder: Path, *phases: Phase) -> None:
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    assert_answers(rules, folder, SERIES, questions(phases, SPANS, 15, 2))


def test_what_fires_in_its_phase_alone_is_right(tmp_path: Path) -> None:
    hold(tmp_path, QUIET, FIRST, LAST)


@pytest.mark.parametrize(
    "phases",
    [
        (QUIET, QUIET, LAST),
        (QUIET, FIRST, QUIET),
        (FIRST, FIRST, LAST),
        (QUIET, Phase("first", None, 3, [LATE, DOWN]), LAST),
        (QUIET, Phase("first", None, 3, [Alert("Late", "billing")]), LAST),
        (QUIET, FIRST, Phase("last", None, 4, [Alert("Down", "billing", "worker")])),
    ],
    ids=["one too many", "one at the end", "none at the beginning", "one too few", "another service", "another role"],
)
def test_anything_else_is_wrong(phases: tuple[Phase, ...], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        hold(tmp_path, *phases)


def test_what_may_fire_need_not(tmp_path: Path) -> None:
    hold(
        tmp_path,
        Phase("quiet", None, 3, may=[Alert("Down")]),
        Phase("first", None, 3, may=[Alert("Late")]),
        Phase("last", None, 4, may=[Alert("Down", "billing")]),
    )


class Struck(Fault):
    """Happens or not, as it is told."""

    name = "struck"

    def __init__(self, proof: str) -> None:
        self._proof = proof

    async def strike(self) -> None:
        return

    async def heal(self) -> None:
        self.proof = self._proof


async def test_several_times_the_same_struck_only_if_each_did() -> None:
    both, one = Again([Struck("a"), Struck("b")]), Again([Struck("a"), Struck("")])
    for fault in (both, one):
        await fault.strike()
        await fault.heal()
    assert (both.proof, one.struck) == ("a; b", False)
