"""When an approval is granted or refused. Whole numbers only."""

from collections.abc import Iterable
from uuid import UUID

from approvals.domain.messages import Policy
from approvals.domain.records import Person
from approvals.domain.state import Approval
from chassis.decision import Known


def needed(policy: Policy, asked: int) -> int | None:
    """How many of `asked` people must agree; None for a policy that cannot be read."""
    match policy.kind:
        case "any":
            return 1
        case "all":
            return max(asked, 1)
        case "k" if policy.k is not None and policy.k > 0:
            return policy.k
        case _:
            return None


def verdict(approval: Approval) -> str | None:
    """ "granted" once enough agreed, "refused" once enough can no longer agree, None in between."""
    if approval.approved() >= approval.needed:
        return "granted"
    if approval.approved() + approval.waiting() < approval.needed:
        return "refused"
    return None


def approver_set(named: Iterable[UUID], asked_by: UUID | None, known: Known) -> tuple[UUID, ...]:
    """Who is asked: everybody named, once, without those who are switched off and without the one who asks.

    A person whose document has not arrived yet stays: voting needs the document, so this opens no door,
    and a service that starts late does not refuse what it merely has not heard of.
    """
    return tuple(dict.fromkeys(each for each in named if each != asked_by and not _switched_off(each, known)))


def _switched_off(person_id: UUID, known: Known) -> bool:
    person: Person | None = known.get("person", person_id)
    return person is not None and not person.active
