"""Every fact keeps its contract to the letter and reads back as itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis.decision import changed
from testkit.deciding import NOON, Facts, check_codec
from workflow import events
from workflow.domain import facts, messages, queues
from workflow.domain.fold import evolve
from workflow.domain.records import Definition, Gate, Person, Policy, Stage, Team

SOMEBODY = UUID(int=7)
GATE = Gate(Policy("k", 1), (SOMEBODY,), 60)


def everything_that_happens(opened: Callable[..., Any], definition: Definition) -> list[Any]:
    """Facts of one eventful life, as the rules state them."""
    new, triage, *rest = definition.stages
    case = opened(
        queue={"stages": (new, changed(triage, approval=GATE), *rest)},
        custom={"serial": "A1", "count": 3},
        external_reference="X-1",
        team_id=SOMEBODY,
        owner_id=opened().owner.id,
    )
    _work_on(case)
    _approve(case)
    owner = case.owner
    case.later(days=1).ask(messages.Close("resolved", None, "done", owner))
    case.ask(messages.InvoiceIssued("INV-2026-000001", 1))
    case.ask(messages.Reopen("again", None, owner))
    history = opened(mode="history", received_at=NOON - timedelta(hours=1))
    history.ask(messages.GoLive(history.client))
    return [*case.facts, *history.facts, *opened(stage="Nowhere").facts]


def _work_on(case: Any) -> None:
    owner = case.owner
    case.ask(messages.Wait("customer", owner))
    case.ask(messages.PostMessage("Is it plugged in?", case.contact))
    case.ask(messages.AddNote("Call back", owner))
    case.ask(messages.Edit({"summary": "Dead line", "custom": {"serial": "A2"}}, owner))
    case.ask(messages.ChangePriority(None, "high", "high", owner))
    case.ask(messages.Assign({"owner_id": owner.id, "team_id": None}, owner))
    case.ask(messages.Progress(None, owner))


def _approve(case: Any) -> None:
    owner = case.owner
    case.ask(messages.Progress(None, owner))
    case.ask(messages.ApprovalAsked(SOMEBODY, case.open.transition.transition_id))
    case.ask(messages.ChargesChanged(2))
    case.ask(messages.Progress(None, owner))
    case.ask(_settled(case, "refused"))
    case.ask(messages.Progress(None, owner))
    case.ask(changed(_settled(case, "granted"), content_hash="0" * 64))
    case.ask(messages.Progress(None, owner))
    case.ask(_settled(case, "granted"))


def _settled(case: Any, outcome: str) -> messages.ApprovalSettled:
    waiting = case.open.transition
    return messages.ApprovalSettled(SOMEBODY, waiting.transition_id, outcome, waiting.content_hash, waiting.visit_no)


def test_facts_of_requests_keep_their_contract(opened: Callable[..., Any], definition: Definition) -> None:
    check_codec(events.REQUESTS, everything_that_happens(opened, definition))


def test_facts_of_staff_and_teams_keep_their_contract() -> None:
    check_codec(events.PEOPLE, [Person(SOMEBODY, "Ann", "ann@example.com", "ann", True, ("agent",), (SOMEBODY,), 1)])
    check_codec(events.TEAMS, [Team(SOMEBODY, "Lines", 1)])


def test_facts_of_queues_keep_their_contract(definition: Definition) -> None:
    stages = (Stage("Work", "in-progress", "client", GATE, ("category",)),)
    drafted = queues.decide(None, messages.DraftQueue(changed(definition, stages=stages)), NOON, Facts())
    queue = queues.evolve(None, drafted[0])
    published = queues.decide(queue, messages.PublishQueue(), NOON, Facts())
    check_codec(events.QUEUES, [*drafted, *published])


def test_the_text_of_a_note_never_leaves(opened: Callable[..., Any], definition: Definition) -> None:
    [note] = [fact for fact in everything_that_happens(opened, definition) if isinstance(fact, facts.NoteAdded)]
    row = events.REQUESTS.encode(note)
    assert "Call back" not in f"{row.data}{row.personal}"
    assert "Call back" in str(row.private)


def test_an_erased_life_still_folds_to_where_the_request_stands(
    opened: Callable[..., Any], definition: Definition
) -> None:
    lived = everything_that_happens(opened, definition)[:-3]
    whole = erased = None
    for fact in lived:
        row = events.REQUESTS.encode(fact)
        left = events.REQUESTS.decode(row.type, row.version, row.data, None, None)
        whole, erased = evolve(whole, fact), evolve(erased, left)
    assert whole is not None
    assert erased is not None
    for name in (
        "number",
        "stage",
        "state",
        "visits",
        "owner_id",
        "team_id",
        "priority",
        "closing",
        "close_no",
        "note_no",
    ):
        assert getattr(erased, name) == getattr(whole, name), name
    assert (erased.summary, erased.description, erased.custom) == (None, None, {})
