"""The moves themselves, stated once all guards have been passed: into a stage, and into Closed."""

from uuid import UUID

from workflow.domain import facts, sla, stages
from workflow.domain.facts import By
from workflow.domain.refusals import NoSuchStage
from workflow.domain.turn import Turn


def enter(
    turn: Turn, to_stage: str, direction: str, *, reason: str | None = None, transition_id: UUID | None = None
) -> None:
    """Move into a stage; every entry is a visit of its own, and a wait ends with the visit that it began in."""
    stage = stages.named(turn.definition, to_stage)
    if stage is None:
        raise NoSuchStage(f"{turn.definition.name} has no stage {to_stage}")
    end_holds(turn)
    request = turn.request
    visit_no = request.visits.get(stage.name, 0) + 1
    turn.state(
        facts.StageChanged(
            request.stage, stage.name, stage.state, visit_no, direction, reason, transition_id, turn.due_at, turn.at
        )
    )


def close(
    turn: Turn, outcome: str, by: By, charge_revision: int, reason: str | None, transition_id: UUID | None = None
) -> None:
    """End the request: holds end, it enters Closed, the clock gives its verdict, the close gets its number."""
    from_stage, at = turn.request.stage, turn.at
    enter(turn, stages.closed(turn.definition).name, "close", reason=reason, transition_id=transition_id)
    request = turn.request
    turn.state(
        facts.RequestClosed(
            outcome=outcome,
            close_no=request.close_no + 1,
            from_stage=from_stage,
            closed_by=by,
            charge_revision=charge_revision,
            elapsed_seconds=sla.elapsed_at(request.clock, at) // 1_000_000,
            breached=request.clock.breached_at is not None,
            closed_at=at,
            contact_id=request.contact_id,
            number=request.number,
            mode=request.mode,
        )
    )


def end_holds(turn: Turn, waiting_for: str | None = None) -> None:
    """End every hold, or those that wait for somebody in particular."""
    for hold in turn.request.holds:
        if waiting_for in (None, hold.waiting_for):
            _end(turn, hold.reason)


def _end(turn: Turn, reason: str) -> None:
    turn.state_with_due(lambda due_at: facts.WaitEnded(reason, due_at, turn.at))
