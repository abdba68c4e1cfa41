"""Facts keep their contract to the letter, and what is private stays here."""

from datetime import UTC, datetime
from uuid import UUID

from approvals.domain import facts
from approvals.domain.messages import Policy
from approvals.events import CODEC
from testkit.deciding import check_codec

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
APPROVAL, TRANSITION, ANNA, CONTACT = (UUID(int=n) for n in range(1, 5))
REQUESTED = facts.ApprovalRequested(
    approval_id=APPROVAL,
    transition_id=TRANSITION,
    approvers=(ANNA,),
    policy=Policy("k", 1),
    number="R-000001",
    due_at=NOON,
    from_stage="New",
    to_stage="Work",
    visit_no=1,
    content_hash="sha256:00ff",
    needed=1,
    summary="Line down",
)


def test_every_fact_keeps_its_contract_and_reads_back() -> None:
    check_codec(
        CODEC,
        [
            facts.FileOpened(CONTACT),
            REQUESTED,
            facts.VoteCast(APPROVAL, ANNA, "approve", False, "Fine"),
            facts.VoteCast(APPROVAL, ANNA, "refuse", True),
            facts.ApprovalSettled(APPROVAL, TRANSITION, "refused", "sha256:00ff", 1, 0, 1, "no-approver"),
        ],
    )


def test_a_request_with_an_erased_summary_still_reads() -> None:
    row = CODEC.encode(REQUESTED)
    read = CODEC.decode(row.type, row.version, row.data, None, row.private)
    assert read.summary is None
    assert read.approvers == (ANNA,)
