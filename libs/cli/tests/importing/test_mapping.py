"""A mapping is read, or says on which lines it is wrong."""

from pathlib import Path

import pytest

from cli.importing import mapping
from cli.importing.mapping import Mapping, WrongMapping

EXAMPLE = Path(__file__).parents[4] / "examples" / "imports" / "vinst.yaml"
TEXT = """source: old
columns:
  case: Number
  time: {column: When, zone: Europe/Berlin}
  status: State
  contact: Customer
  queue: {value: desk}
  summary: [Title, Number]
  impact: {column: Impact, values: {"1": high, "2": low}}
  owner: {column: Agent, nobody: [nobody]}
statuses:
  - {is: open, stage: Work}
  - {is: hold, wait: customer}
  - {is: done, close: resolved}
  - {is: noise, ignore: true}
queues:
  - queue: desk
    name: Desk
    stages: [{name: New, state: new}, {name: Work, state: in-progress}, {name: Closed, state: closed}]
    completion_minutes: {}
    matrix: {}
    reasons: [{name: customer, pauses: true, waiting_for: customer}]
"""


def wrong(text: str) -> list[str]:
    with pytest.raises(WrongMapping) as refused:
        mapping.parse(text)
    return refused.value.problems


def test_the_example_is_a_mapping() -> None:
    assert mapping.read(EXAMPLE).source == "vinst"


def test_a_field_comes_from_a_column_from_several_or_is_the_same_for_all() -> None:
    columns = mapping.parse(TEXT).columns
    row = {"Number": "7", "Title": "smoke", "Customer": "Jane", "Impact": "2", "Agent": "nobody"}
    assert columns.contact.read(row) == "Jane"
    assert columns.summary.read(row) == "smoke / 7"
    assert columns.queue.read(row) == "desk"
    assert columns.impact is not None
    assert columns.impact.read(row) == "low"


def test_who_is_nobody_is_nobody() -> None:
    owner = mapping.parse(TEXT).columns.owner
    assert owner is not None
    assert [owner.read({"Agent": name}) for name in ("nobody", "", "Ann")] == [None, None, "Ann"]


def test_the_first_meaning_that_fits_counts() -> None:
    found = mapping.parse(TEXT.replace("status: State", "status: [State, Sub]"))
    meaning = found.meaning(("hold", "whatever"))
    assert meaning is not None
    assert meaning.wait == "customer"
    assert found.meaning(("unheard", "of")) is None


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("source: old", "source: Old System", "1: source: "),
        ("  case: Number\n", "", "2: columns.case: field required"),
        ("zone: Europe/Berlin", "zone: Europe/Utopia", "4: columns.time.zone: Europe/Utopia is no time zone"),
        ("  status: State", "  state: State", "5: columns.state: extra inputs are not permitted"),
        ("queue: {value: desk}", "queue: {value: desk, column: Q}", "7: columns.queue: name a column, several, or a"),
        ("stage: Work}", "stage: Play}", "12: statuses.0.stage: Play is no open stage of a queue below"),
        ("stage: Work}", "stage: Closed}", "12: statuses.0.stage: Closed is no open stage of a queue below"),
        ("wait: customer}", "wait: weather}", "13: statuses.1.wait: weather is no reason to wait of a queue below"),
        ("close: resolved", "close: finished", "14: statuses.2.close: "),
        ("{is: done, close: resolved}", "{is: done, close: resolved, ignore: true}", "14: statuses.2: say one of"),
        ("{is: done,", "{is: open,", "14: statuses.2.is: an earlier line means this already"),
        ("{is: done,", "{is: [done, very],", "14: statuses.2.is: names 2 values, but there are 1 status columns"),
        ("    reasons: [", "    reasonz: [", "22: queues.0.reasonz: extra inputs are not permitted"),
        ("  - {is: hold", "  - {is: hold, is: hold", "13: is stands there twice"),
        ("statuses:", "statuses: [", "12: "),
    ],
)
def test_a_mistake_is_named_with_its_line(was: str, becomes: str, problem: str) -> None:
    assert was in TEXT
    assert any(found.startswith(problem) for found in wrong(TEXT.replace(was, becomes, 1))), wrong(
        TEXT.replace(was, becomes, 1)
    )


def test_all_mistakes_are_named_at_once_in_their_order() -> None:
    problems = wrong(TEXT.replace("source: old", "source: O L D").replace("close: resolved", "close: maybe"))
    assert [int(problem.split(":")[0]) for problem in problems] == [1, 14]


@pytest.mark.parametrize("text", ["", "- a list", "just words"])
def test_what_is_no_mapping_is_said_so(text: str) -> None:
    assert wrong(text)[0].startswith("1: ")


def test_a_file_that_is_not_there_is_one_plain_line(tmp_path: Path) -> None:
    with pytest.raises(WrongMapping, match=r"nowhere\.yaml:1: it cannot be read"):
        mapping.read(tmp_path / "nowhere.yaml")


def test_without_queues_of_its_own_stages_are_taken_on_trust() -> None:
    text = TEXT[: TEXT.index("queues:")].replace("stage: Work", "stage: Somewhere")
    assert isinstance(mapping.parse(text), Mapping)
