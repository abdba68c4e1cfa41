"""The load as it is planned: who comes how often, what a crowd lives, and where its people look."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from cli.demo import scenario
from cli.demo.organisation import ADMIN, CONTACTS
from cli.demo.scenario import Life
from testkit.chaos.busy import arriving
from testkit.chaos.crowd import brief_crowd, crowd
from testkit.chaos.load import Arrival, plan
from testkit.chaos.looking import DOORS, with_looks
from testkit.chaos.operations import LOOKS

LOGINS = {contact.login for contact in CONTACTS}
MANY = crowd(4, "run", 100.0, 60.0)
"""Six thousand, as a run of a minute has them."""


def acts(life: Life) -> list[str]:
    return [step.what for step in life.steps if step.what not in LOOKS]


def part(arrivals: list[Arrival], *pieces: list[str]) -> float:
    return sum(acts(each.life) in pieces for each in arrivals) / len(arrivals)


@pytest.mark.parametrize("coming", [crowd, brief_crowd])
def test_a_crowd_is_the_same_with_the_same_seed_and_nobody_without_a_rate(coming: Callable[..., list[Arrival]]) -> None:
    assert coming(4, "run", 50.0, 10.0) == coming(4, "run", 50.0, 10.0)
    assert coming(4, "run", 50.0, 10.0) != coming(5, "run", 50.0, 10.0)
    assert coming(4, "run", 0.0, 10.0) == []


def test_a_crowd_comes_at_its_rate_and_from_everywhere() -> None:
    assert 5600 < len(MANY) < 6400
    assert all(before.at < after.at < 60 for before, after in pairwise(MANY))
    assert 0.25 < sum(each.life.by == "crm" for each in MANY) / len(MANY) < 0.55
    assert 0.05 < sum(not each.careful for each in MANY) / len(MANY) < 0.3


def test_a_brief_crowd_asks_for_one_more_thing_at_the_most_and_looks_at_nothing() -> None:
    arrivals = brief_crowd(4, "run", 100.0, 20.0)
    assert max(len(arrival.life.steps) for arrival in arrivals) == 1
    assert {step.what for each in arrivals for step in each.life.steps} == {"note", "message", "close", "take-over"}


def test_a_fifth_of_a_crowd_lives_a_little_more_and_the_rest_is_brief() -> None:
    fuller = [each for each in MANY if len(acts(each.life)) > 1]
    assert 0.15 < len(fuller) / len(MANY) < 0.22
    assert part(fuller, ["charge", "close"]) > 0.4
    assert part(fuller, ["close", "reopen"]) > 0.15
    assert part(fuller, ["progress", "regress"]) > 0.1
    assert part(fuller, ["wait", "resume"]) > 0.05
    assert part(fuller, ["progress", "ask", "approve"], ["progress", "ask", "refuse"]) > 0.02
    assert max(len(acts(each.life)) for each in MANY) == 3


def test_what_a_crowd_does_more_is_possible_in_its_queue_and_by_somebody_who_may() -> None:
    queues = {"charge": "billing", "reopen": "outage", "regress": "outage", "resume": "outage", "ask": "change"}
    for each in (arrival.life for arrival in MANY if len(acts(arrival.life)) > 1):
        assert {queues[what] for what in acts(each) if what in queues} == {each.queue}
        doers = {step.who for step in each.steps if step.what in {*queues, "close", "progress", "wait"}}
        assert doers == {ADMIN.login if each.by in {*LOGINS, "crm"} else each.by}


def test_a_fifth_of_a_crowd_is_brief_and_looked_at_and_lists_are_rare() -> None:
    looks = [step for each in MANY for step in each.life.steps if step.what in LOOKS]
    looked = [each for each in MANY if len(acts(each.life)) < 2 and any(s.what in LOOKS for s in each.life.steps)]
    assert 0.15 < len(looked) / len(MANY) < 0.22
    assert 0.25 < len(looks) / len(MANY) < 0.35
    assert 0.02 < sum(step.what == "list" for step in looks) / len(looks) < 0.1


def test_a_crowd_asks_for_two_things_each() -> None:
    assert sum(1 + len(each.life.steps) for each in MANY) / len(MANY) < 2.05


def test_keys_of_a_crowd_are_none_of_a_full_lifes() -> None:
    full = {life.n for life in scenario.lives(4, 5000)}
    assert not full & {arrival.life.n for arrival in MANY}


def test_whose_act_it_was_looks_and_nobody_is_sent_to_a_door_that_shows_them_nothing() -> None:
    places = Counter[tuple[str, str]]()
    for life in (with_looks(random.Random(n), life, 1.0) for n, life in enumerate(scenario.lives(4, 2000))):
        submitter = scenario.Step("submit", life.contact if life.by == "crm" else life.by)
        for step, look in pairwise([submitter, *life.steps]):
            if look.what in LOOKS:
                assert look.who == step.who
                places[step.what, str(look.data["service"])] += look.what == "read"
                assert look.who not in LOGINS or look.data["service"] in ("intake", "workflow")
    for what, here, there in (
        ("submit", "intake", "workflow"),
        ("progress", "workflow", "intake"),
        ("progress", "workflow", "billing"),
        ("charge", "billing", "workflow"),
    ):
        assert places[what, here] > places[what, there] > 0
    assert places["approve", "approvals"] > places["approve", "workflow"] == 0
    assert {place for _, place in places} == set(DOORS)


def test_full_lives_are_looked_at_and_are_else_those_of_the_scenario() -> None:
    arrivals = [each for each in plan(4, "run", 5.0, 100.0) if each.life.steps]
    lives = {life.n: [step.what for step in life.steps] for life in scenario.lives(4, 2000)}
    assert all(acts(each.life) == lives[each.life.n] for each in arrivals)
    looks = sum(step.what in LOOKS for each in arrivals for step in each.life.steps)
    assert 0.15 < looks / sum(1 + len(acts(each.life)) for each in arrivals) < 0.35


def test_nobody_looks_while_alerts_are_watched() -> None:
    assert not [step for each in arriving(4, "run") for step in each.life.steps if step.what in LOOKS]
