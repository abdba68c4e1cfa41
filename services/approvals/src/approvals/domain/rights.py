"""Who may decide."""

from uuid import UUID

from approvals.domain.refusals import NoLongerActive, NotAnApprover, UnknownApproval
from approvals.domain.state import Approval, Settled
from chassis.decision import Actor, Known


def voter(actor: Actor, approval: Approval | Settled, known: Known) -> UUID:
    """The approver who votes here; refuses everybody else.

    Staff learn that they were not asked; for anybody else the approval does not exist.
    """
    if actor.kind != "person" or actor.id is None:
        raise UnknownApproval("There is no such approval.")
    if actor.id not in approval.approvers:
        raise NotAnApprover("Only the people who were asked may decide.")
    person = known.get("person", actor.id)
    if person is None or not person.active:
        raise NoLongerActive("This person may not decide any more.")
    return actor.id
