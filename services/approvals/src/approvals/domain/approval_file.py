"""Approvals of one request: asked, voted on, settled exactly once.

Heard messages never refuse here: they state a fact or nothing. Every decision first states an expiry that is due.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from approvals.domain import policy, rights
from approvals.domain.facts import ApprovalOpened, ApprovalRequested, ApprovalSettled, Fact, FileOpened, VoteCast
from approvals.domain.messages import Ask, CastVote, Open, Withdraw, WithdrawAll
from approvals.domain.refusals import AlreadyVoted, UnknownApproval
from approvals.domain.state import SETTLED_KEPT, Approval, ApprovalFile, Settled, Vote
from chassis.decision import Invalid, Known, Recalled, TimerDue, changed

LONGEST_WAIT = timedelta(days=90)
"""An approval that was given no due time ends here: no policy may wait forever."""

DUE = "due"


def decide(state: ApprovalFile | None, message: Any, now: datetime, known: Known) -> Sequence[Fact]:
    """What follows from a message; see the module's promise."""
    file = state or ApprovalFile()
    expired = [_settled(each, "expired", "due") for each in file.open if each.due_at < now]
    for fact in expired:
        file = evolve(file, fact)
    return [*expired, *_answer(file, message, now, known)]


def _answer(file: ApprovalFile, message: Any, now: datetime, known: Known) -> Sequence[Fact]:
    match message:
        case Open():
            return [] if file.contact_id else [FileOpened(message.contact_id)]
        case Ask():
            return ask(file, message, now, known)
        case Withdraw():
            return [
                _settled(each, "void", message.cause)
                for each in file.open
                if each.transition_id == message.transition_id
            ]
        case WithdrawAll():
            return [_settled(each, "void", message.cause) for each in file.open]
        case CastVote():
            return vote(file, message, known)
        case TimerDue():
            return [_settled(each, "expired", "due") for each in file.open if _is_due(each, message)]
        case _:
            raise TypeError(f"an approval file does not understand {type(message).__name__}")


def ask(file: ApprovalFile, message: Ask, now: datetime, known: Known) -> Sequence[Fact]:
    """Open an approval, once per transition request; what was open for the same transition is superseded.

    It fails closed at once when nobody is left to ask, when too few are, or when the policy cannot be read.
    """
    if file.knows(message.transition_id):
        return []
    superseded = [
        _settled(each, "void", "superseded")
        for each in file.open
        if (each.from_stage, each.to_stage) == (message.from_stage, message.to_stage)
    ]
    approvers = policy.approver_set(message.approvers, message.asked_by, known)
    needed = policy.needed(message.policy, len(approvers))
    opened = ApprovalOpened(
        approval_id=known.new_id(),
        transition_id=message.transition_id,
        from_stage=message.from_stage,
        to_stage=message.to_stage,
        visit_no=message.visit_no,
        content_hash=message.content_hash,
        approvers=approvers,
        needed=needed or 1,
        due_at=message.due_at or now + LONGEST_WAIT,
    )
    hopeless = _hopeless(len(approvers), needed)
    closed = [_settled(_opened(opened), "refused", hopeless)] if hopeless else []
    return [*superseded, opened, _requested(opened, message), *closed]


def vote(file: ApprovalFile, message: CastVote, known: Known) -> Sequence[Fact]:
    """Take one person's vote and settle when it decides; a vote on a settled approval is kept as late."""
    approval = file.find(message.approval_id)
    if approval is None:
        raise UnknownApproval("There is no such approval.")
    person = rights.voter(message.actor, approval, known)
    if message.decision not in ("approve", "refuse"):
        raise Invalid("Decide by approve or refuse.", {"/decision": "approve or refuse"})
    if person in _voters(approval):
        raise AlreadyVoted("This person has voted already.")
    late = isinstance(approval, Settled)
    cast = VoteCast(message.approval_id, person, message.decision, late, message.comment)
    if isinstance(approval, Settled):
        return [cast]
    counted = _with_vote(approval, cast)
    outcome = policy.verdict(counted)
    return [cast, _settled(counted, outcome)] if outcome else [cast]


def evolve(state: ApprovalFile | None, fact: Fact) -> ApprovalFile:
    """The file after a fact."""
    file = state or ApprovalFile()
    match fact:
        case FileOpened():
            return changed(file, contact_id=fact.contact_id)
        case ApprovalOpened():
            return changed(file, open=(*file.open, _opened(fact)))
        case ApprovalRequested():
            return file
        case VoteCast(late=True):
            return changed(file, settled=tuple(_with_late_vote(each, fact) for each in file.settled))
        case VoteCast():
            return changed(file, open=tuple(_counted(each, fact) for each in file.open))
        case ApprovalSettled():
            return _close(file, fact)


def complete(state: ApprovalFile | None, fact: Fact, recalled: Recalled) -> Fact:
    """An opening that is decided again after a restore, as `ApprovalRequested` told of it then."""
    if isinstance(fact, ApprovalOpened):
        for told in recalled.told:
            if isinstance(told, ApprovalRequested) and told.transition_id == fact.transition_id:
                needed = policy.needed(told.policy, len(told.approvers))
                return changed(
                    fact,
                    approval_id=told.approval_id,
                    approvers=told.approvers,
                    needed=needed or 1,
                    due_at=told.due_at,
                )
    return fact


def agenda(state: ApprovalFile) -> Mapping[tuple[str, str], datetime]:
    """Every open approval ends by itself at its due time."""
    return {(DUE, str(each.approval_id)): each.due_at for each in state.open}


def _hopeless(asked: int, needed: int | None) -> str | None:
    """Why nobody can grant this, or None."""
    if needed is None:
        return "invalid-policy"
    if not asked:
        return "no-approver"
    return "unreachable" if needed > asked else None


def _is_due(approval: Approval, timer: TimerDue) -> bool:
    return timer.kind == DUE and timer.ref == str(approval.approval_id)


def _settled(approval: Approval, outcome: str, cause: str | None = None) -> ApprovalSettled:
    return ApprovalSettled(
        approval_id=approval.approval_id,
        transition_id=approval.transition_id,
        outcome=outcome,
        content_hash=approval.content_hash,
        visit_no=approval.visit_no,
        approved=approval.approved(),
        refused=approval.refused(),
        cause=cause,
    )


def _opened(fact: ApprovalOpened) -> Approval:
    return Approval(
        approval_id=fact.approval_id,
        transition_id=fact.transition_id,
        from_stage=fact.from_stage,
        to_stage=fact.to_stage,
        visit_no=fact.visit_no,
        content_hash=fact.content_hash,
        approvers=fact.approvers,
        needed=fact.needed,
        due_at=fact.due_at,
    )


def _requested(opened: ApprovalOpened, message: Ask) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id=opened.approval_id,
        transition_id=opened.transition_id,
        approvers=opened.approvers,
        policy=message.policy,
        number=message.number,
        due_at=opened.due_at,
        summary=message.summary,
    )


def _voters(approval: Approval | Settled) -> tuple[UUID, ...]:
    return approval.voters if isinstance(approval, Settled) else tuple(each.person_id for each in approval.votes)


def _with_vote(approval: Approval, cast: VoteCast) -> Approval:
    return changed(approval, votes=(*approval.votes, Vote(cast.person_id, cast.decision)))


def _counted(approval: Approval, cast: VoteCast) -> Approval:
    return _with_vote(approval, cast) if approval.approval_id == cast.approval_id else approval


def _with_late_vote(settled: Settled, cast: VoteCast) -> Settled:
    if settled.approval_id != cast.approval_id:
        return settled
    return changed(settled, voters=(*settled.voters, cast.person_id))


def _close(file: ApprovalFile, fact: ApprovalSettled) -> ApprovalFile:
    over = [
        Settled(each.approval_id, each.transition_id, fact.outcome, each.approvers, _voters(each))
        for each in file.open
        if each.approval_id == fact.approval_id
    ]
    still_open = tuple(each for each in file.open if each.approval_id != fact.approval_id)
    return changed(file, open=still_open, settled=(*file.settled, *over)[-SETTLED_KEPT:])
