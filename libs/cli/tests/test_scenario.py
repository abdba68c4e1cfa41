"""The demo's plan: seeded, whole, and made of everything the product does."""

from cli.demo.organisation import STAGES
from cli.demo.scenario import lives


def test_the_same_seed_gives_the_same_plan() -> None:
    assert lives(7, 50) == lives(7, 50)
    assert lives(7, 50) != lives(8, 50)


def test_two_thousand_lives_hold_every_kind_of_act() -> None:
    plan = lives(2026, 2000)
    acts = {step.what for life in plan for step in life.steps}
    assert acts == {
        "take-over", "progress", "regress", "note", "message", "wait", "resume", "ask", "approve", "refuse", "charge",
        "close", "reopen",
    }  # fmt: skip
    outcomes = {step.data["outcome"] for life in plan for step in life.steps if step.what == "close"}
    assert outcomes == {"resolved", "unresolved", "cancelled"}
    assert {life.queue for life in plan} == set(STAGES)
    assert any(life.by == "crm" for life in plan)
    assert any(life.late_minutes for life in plan)


def test_nobody_takes_over_what_they_own() -> None:
    for life in lives(2026, 300):
        takers = [step.who for step in life.steps if step.what == "take-over"]
        assert life.by not in takers
