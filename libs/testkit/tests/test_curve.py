"""The curve of scaling: pauses are seen, and the chart counts what is behind."""

from testkit.chaos.curve import Change, Seen, chart, page, pauses

SEEN = Seen(
    accepted={"a": 0.1, "b": 0.9, "c": 1.2, "d": 3.0},
    heard={"a": 0.2, "b": 2.4, "c": 2.5, "d": 3.1},
    members=[(0.0, 1), (1.0, 1), (1.5, 2), (2.0, 2)],
    changes=[Change("1 → 2", 0.5, 1.5)],
)


def test_a_pause_is_the_longest_time_without_hearing_and_the_delay_that_of_the_worst_request() -> None:
    [(change, gap, delay)] = pauses(SEEN, after=1.0)
    assert change.what == "1 → 2"
    assert round(gap, 3) == 1.9
    assert round(delay, 3) == 1.5


def test_what_comes_long_after_a_change_does_not_count() -> None:
    [(_, gap, _)] = pauses(Seen(accepted={}, heard={"a": 0.6, "b": 9.0}, changes=SEEN.changes), after=1.0)
    assert round(gap, 3) == 0.1


def test_the_chart_counts_per_second_what_is_behind() -> None:
    rows = [line.split() for line in chart(SEEN, "workflow").splitlines()[1:]]
    assert [row[:5] for row in rows] == [
        ["0", "1", "2", "1", "1"],
        ["1", "2", "1", "0", "2"],
        ["2", "2", "0", "2", "0"],
        ["3", "1", "1", "0", "0.10"],
    ]


def test_the_page_tells_changes_and_violations() -> None:
    text = page(SEEN, "workflow", 60.0, 1.0, "abc1234")
    assert "4 accepted, 4 heard, 0 violations" in text
    assert "| 1 → 2 | 0.5 s | 1.0 s | 1.90 s | 1.50 s |" in text
