"""What processes answer becomes the series that Prometheus would have: stale when it is gone, counters as told."""

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from testkit.scraping import Scrapes, Target

RELAY = Target("http://127.0.0.1:1", "intake", "relay")
PLACE = 'instance="http://127.0.0.1:1",job="j",role="relay",service="intake"'


def metrics(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


def scrapes(*rounds: str | None, at: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Scrapes:
    found = Scrapes("j")
    for n, text in zip(at, rounds, strict=False):
        found.enter({RELAY: None if text is None else metrics(text)}, n)
    return found


def test_what_is_gone_is_stale_once_and_missing_after_it() -> None:
    found = scrapes("age 3\n", None, None, "age 4\n")
    assert found.series("age") == {f"age{{{PLACE}}}": "3 stale _ 4"}
    assert found.series("up") == {f"up{{{PLACE}}}": "1 0 0 1"}


def test_a_label_that_is_told_no_more_is_stale_while_its_process_answers() -> None:
    found = scrapes('waits{reason="gap"} 1\n', "other 1\n")
    assert list(found.series("waits").values()) == ["1 stale"]


def test_a_round_that_was_left_out_makes_nothing_stale() -> None:
    found = scrapes("age 3\n", "age 5\n", at=(0, 2))
    assert found.rounds == 3
    assert found.series("age") == {f"age{{{PLACE}}}": "3 _ 5"}


def test_told_farther_apart_counters_are_larger_and_ages_are_not() -> None:
    found = scrapes("age 3\ncalls_total 2\ntook_bucket 4\n")
    told = found.series("age", "calls_total", "took_bucket", times=15, after=2)
    assert list(told.values()) == ["_x2 3", "_x2 30", "_x2 60"]
