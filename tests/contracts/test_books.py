"""What goes into the books of reconciliation: fields that exist, and nothing personal."""

from collections.abc import Iterator, Mapping

from contracts.books import BOOKED, booked
from contracts.registry import EVENTS, TOPICS

STREAMS = {topic.name for topic in TOPICS if topic.kind == "stream"}
FACTS = {event.type: event for event in EVENTS if event.topic in STREAMS}


def faults(entries: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """What is wrong with a list of booked facts."""
    for type_, fields in entries.items():
        if type_ not in FACTS:
            yield f"{type_} is told on no stream"
            continue
        for name in fields:
            if name not in FACTS[type_].model_fields:
                yield f"{type_} has no {name}"
            elif name in FACTS[type_].personal_fields():
                yield f"{name} of {type_} is personal"


def test_what_is_booked_exists_and_is_not_personal() -> None:
    assert list(faults(BOOKED)) == []


def test_each_kind_of_fault_is_seen() -> None:
    planted = {"workflow.nothing": (), "intake.request-submitted": ("numbers", "summary")}
    assert list(faults(planted)) == [
        "workflow.nothing is told on no stream",
        "intake.request-submitted has no numbers",
        "summary of intake.request-submitted is personal",
    ]


def test_of_a_body_only_the_booked_fields_are_kept() -> None:
    body = {"number": "R-000001", "mode": "live", "summary": "My line is dead"}
    assert booked("intake.request-submitted", body) == {"number": "R-000001", "mode": "live"}
    assert booked("workflow.note-added", body) == {}
