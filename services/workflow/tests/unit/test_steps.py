"""Stage by stage: progress, regress, and the jumps of a request that is being moved in."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.decision import changed
from testkit.deciding import NOON
from workflow.domain import facts, refusals
from workflow.domain.messages import Close, Edit, GoLive, Jump, Progress, Regress, Wait
from workflow.domain.records import Definition


def test_S55_progress_goes_to_the_next_stage(opened: Any) -> None:
    case = opened()
    [told] = case.ask(Progress(None, case.owner))
    assert (told.from_stage, told.to_stage, told.state, told.direction) == ("New", "Triage", "in-progress", "progress")
    assert told.due_at == case.facts[0].due_at


def test_S1_no_stage_is_skipped(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.NotTheNextStage):
        case.ask(Progress("Work", case.owner))
    assert case.ask(Progress("Triage", case.owner))


def test_S55_after_the_last_working_stage_comes_only_a_close(opened: Any) -> None:
    case = opened(stage="Work")
    with pytest.raises(refusals.LastStage):
        case.ask(Progress(None, case.owner))


def test_S56_regress_goes_to_the_previous_stage_and_says_why(opened: Any) -> None:
    case = opened(stage="Work")
    [told] = case.ask(Regress("wrong line", case.owner))
    assert (told.to_stage, told.direction, told.reason) == ("Triage", "regress", "wrong line")


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_S56_regress_needs_a_reason(opened: Any, blank: str) -> None:
    case = opened(stage="Work")
    with pytest.raises(refusals.ReasonMissing):
        case.ask(Regress(blank, case.owner))


def test_from_new_there_is_no_way_back(opened: Any) -> None:
    case = opened()
    with pytest.raises(refusals.NoPreviousStage):
        case.ask(Regress("why", case.owner))


def test_from_closed_there_is_no_way_back_but_reopening(opened: Any) -> None:
    case = opened()
    case.ask(Close("unresolved", None, None, case.owner))
    with pytest.raises(refusals.AlreadyClosed):
        case.ask(Regress("why", case.owner))


def test_S57_every_entry_of_a_stage_is_a_visit_of_its_own(opened: Any) -> None:
    case = opened()
    case.ask(Progress(None, case.owner))
    case.ask(Progress(None, case.owner))
    [back] = case.ask(Regress("again", case.owner))
    [forth] = case.ask(Progress(None, case.owner))
    assert (back.visit_no, forth.visit_no) == (2, 2)
    assert case.open.visits == {"New": 1, "Triage": 2, "Work": 2}


def test_S2_a_step_of_the_client_is_completed_by_the_contact(opened: Any, definition: Definition) -> None:
    new, triage, *rest = definition.stages
    case = opened(queue={"stages": (new, changed(triage, assignee="client"), *rest)}, stage="Triage")
    with pytest.raises(refusals.NoSuchRequest):
        case.ask(Progress(None, case.other_contact))
    assert case.ask(Progress(None, case.contact))[0].to_stage == "Work"
    with pytest.raises(refusals.NotYours):
        case.ask(Regress("mine", case.contact))


def test_S88_mandatory_fields_keep_a_request_in_its_stage(opened: Any, definition: Definition) -> None:
    new, *rest = definition.stages
    case = opened(queue={"stages": (changed(new, mandatory=("category", "serial")), *rest)})
    with pytest.raises(refusals.FieldsMissing) as refused:
        case.ask(Progress(None, case.owner))
    assert refused.value.facts["fields"] == ["category", "serial"]
    case.ask(Edit({"category": "Lines", "custom": {"serial": "A1"}}, case.owner))
    assert case.ask(Progress(None, case.owner))


def test_a_wait_ends_when_the_request_moves(opened: Any) -> None:
    case = opened()
    case.ask(Wait("customer", case.owner))
    case.later(hours=1)
    ended, moved = case.ask(Progress(None, case.owner))
    assert isinstance(ended, facts.WaitEnded)
    assert ended.due_at == moved.due_at == NOON + timedelta(hours=5)


def test_a_request_that_is_moved_in_may_jump_stages(opened: Any) -> None:
    case = opened(mode="history")
    [told] = case.ask(Jump("Work", case.client, NOON))
    assert (told.to_stage, told.direction) == ("Work", "jump")
    assert case.ask(Jump("Work", case.client, NOON)) == []
    assert case.ask(Jump("New", case.client, NOON))[0].visit_no == 2


@pytest.mark.parametrize("stage", ["Closed", "Nowhere"])
def test_a_jump_goes_to_a_stage_to_work_in(opened: Any, stage: str) -> None:
    case = opened(mode="history")
    with pytest.raises(refusals.NoSuchStage):
        case.ask(Jump(stage, case.client))


def test_a_live_request_jumps_never(opened: Any) -> None:
    case = opened(mode="history")
    case.ask(GoLive(case.client))
    with pytest.raises(refusals.NotInHistoryMode):
        case.ask(Jump("Work", case.client))
