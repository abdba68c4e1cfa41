"""Records of topics, decoded without any transport: whose they are, and what becomes of those that are nobody's."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from chassis.asked import Asked
from chassis.hearing import Dead, Ear
from contracts import workflow
from testkit.streams import body, headers
from testkit.toyhearing import STREAM

SUBJECT = UUID(int=7)
NOTE = workflow.NoteAdded(note_id=UUID(int=8), note_no=3)


def decoded(topic: str, **said: Any) -> Any:
    """What `billing` takes a note of `workflow` for that lies on a topic."""
    place = said.pop("subject", SUBJECT), said.pop("sequence", 1)
    record = SimpleNamespace(
        topic=topic, partition=0, offset=5, key=str(SUBJECT).encode(), value=body(NOTE),
        headers=headers("t", NOTE, *place, **said),
    )  # fmt: skip
    return Ear("billing", "t", STREAM, {}).decode(record)


@pytest.mark.parametrize("topic", ["t.workflow.requests", "t.billing.resent"])
def test_a_fact_is_its_owners_on_the_owners_topic_or_sent_again(topic: str) -> None:
    heard = decoded(topic)
    assert isinstance(heard, Asked)
    assert (heard.stream, heard.sequence, heard.subject) == ("workflow.requests", 1, SUBJECT)


@pytest.mark.parametrize(
    ("topic", "said", "reason"),
    [
        ("t.intake.requests", {}, "source-wrong"),
        ("t.workflow.requests", {"source": "/t/intake"}, "source-wrong"),
        ("t.workflow.requests", {"source": "/other/workflow"}, "source-unknown"),
        ("t.workflow.requests", {"sequence": None}, "sequence-missing"),
        ("t.workflow.requests", {"subject": str(UUID(int=9))}, "key-wrong"),
    ],
)
def test_nobody_tells_facts_in_anothers_name_or_without_a_place(topic: str, said: dict[str, Any], reason: str) -> None:
    found = decoded(topic, **dict(said))
    assert isinstance(found, Dead)
    assert found.reason == reason
