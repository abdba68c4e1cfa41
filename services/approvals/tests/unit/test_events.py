"""Facts keep their contract to the letter, and what is private stays here."""

from datetime import UTC, datetime
from uuid import UUID

from approvals.domain import facts
from approvals.domain.approval_file import evolve
from approvals.domain.messages import Policy
from approvals.domain.state import ApprovalFile
from approvals.events import CODEC
from testkit.deciding import check_codec

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
APPROVAL, TRANSITION, ANNA, CONTACT = (UUID(int=n) for n in range(1, 5))
OPENED = facts.ApprovalOpened(
    approval_id=APPROVAL,
    transition_id=TRANSITION,
    from_stage="New",
    to_stage="Work",
    visit_no=1,
    content_hash="sha256:00ff",
    approvers=(ANNA,),
    needed=1,
    due_at=NOON,
)
REQUESTED = facts.ApprovalRequested(APPROVAL, TRANSITION, (ANNA,), Policy("k", 1), "R-000001", NOON, "Line down")
VOTED = facts.VoteCast(APPROVAL, ANNA, "approve", False, "Fine")
SETTLED = facts.ApprovalSettled(APPROVAL, TRANSITION, "refused", "sha256:00ff", 1, 0, 1, "no-approver")


def test_every_fact_keeps_its_contract_and_reads_back() -> None:
    check_codec(
        CODEC,
        [
            facts.FileOpened(CONTACT),
            OPENED,
            REQUESTED,
            VOTED,
            facts.VoteCast(APPROVAL, ANNA, "refuse", True),
            SETTLED,
        ],
    )


def test_a_file_folds_to_the_same_state_after_its_contact_was_erased() -> None:
    """Erasing leaves `data` alone in the journal: what the state needs must stand there."""
    kept: ApprovalFile | None = None
    erased: ApprovalFile | None = None
    for fact in (facts.FileOpened(CONTACT), OPENED, REQUESTED, VOTED, SETTLED):
        row = CODEC.encode(fact)
        kept = evolve(kept, fact)
        erased = evolve(erased, CODEC.decode(row.type, row.version, row.data, None, None))
    assert erased == kept
