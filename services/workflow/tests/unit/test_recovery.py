"""Facts read back from the topic after a restore: what never left is known again, as far as it can be."""

from typing import Any

from chassis.decision import Actor, Recalled, changed
from chassis.writing import merged
from testkit.deciding import Facts
from workflow.domain import facts, queues
from workflow.domain.fold import evolve
from workflow.domain.messages import (
    AddNote,
    ChangePriority,
    Close,
    PostMessage,
    Progress,
    Regress,
    Reopen,
    Resume,
    Wait,
)
from workflow.domain.records import Definition, Gate, Policy
from workflow.domain.recovery import complete
from workflow.events import REQUESTS

NEW = 1
"""Facts that a submission brought about: they are decided again from it."""


def public(fact: Any) -> Any:
    """The fact as its topic has it."""
    encoded = REQUESTS.encode(fact)
    value = merged(encoded.data, encoded.personal)
    assert value is not None
    data, personal = REQUESTS.published(encoded.type, encoded.version, value.encode())
    return REQUESTS.decode(encoded.type, encoded.version, data, personal, None)


def read_back(case: Any, actor: Actor) -> list[tuple[Any, Any]]:
    """Every fact after the opening with what is made of its public part."""
    state, found = None, []
    for n, fact in enumerate(case.facts):
        if n >= NEW and REQUESTS.is_told(fact):
            recalled = Recalled(getattr(fact, "at", case.now), actor, None, (), case.known)
            found.append((fact, complete(state, public(fact), recalled)))
        state = evolve(state, fact)
    return found


def test_all_but_the_text_of_notes_is_known_again(opened: Any) -> None:
    case = opened(owner_id=None, stage="Triage")
    owner = case.boss
    for message in (
        ChangePriority("critical", None, None, owner),
        Wait("customer", owner),
        PostMessage("Any news?", owner),
        Resume(owner),
        Progress(None, owner),
        Regress("once more", owner),
        Progress(None, owner),
        AddNote("Between us", owner),
        Close("resolved", None, None, owner),
        Reopen("again", None, owner),
    ):
        case.later(minutes=1).ask(message)
    pairs = read_back(case, owner)
    assert {type(fact) for fact, _ in pairs} >= {facts.PriorityChanged, facts.WaitEnded, facts.NoteAdded}
    for fact, again in pairs:
        lost = {"text": None} if isinstance(fact, facts.NoteAdded) else {}
        assert again == changed(fact, **lost)


def test_an_approval_asked_for_a_close_is_known_to_be_for_one(opened: Any, definition: Definition) -> None:
    new, triage, work, closed = definition.stages
    gate = Gate(Policy("any"), (opened().mate.id,))
    case = opened(queue={"stages": (new, triage, changed(work, approval=gate), closed)}, stage="Work")
    case.ask(Close("resolved", None, None, case.boss))
    [(fact, again)] = read_back(case, case.boss)
    assert isinstance(fact, facts.TransitionRequested)
    assert fact.closing
    assert again == fact


def test_without_its_definition_a_target_stays_unknown(opened: Any) -> None:
    case = opened()
    fact = facts.PriorityChanged("high", "low", "high", "high", None, at=case.now)
    assert complete(case.request, fact, Recalled(case.now, case.boss, None, (), Facts())) == fact


def test_a_queue_whose_draft_is_lost_is_what_was_published(definition: Definition) -> None:
    queue = queues.evolve(queues.evolve(None, definition), queues.CurrentQueue(definition.queue, definition.version))
    assert queue == queues.Queue(definition.queue, definition.version, None, definition)
