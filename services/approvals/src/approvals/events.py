"""How this service's facts are written to the journal and told on `approvals.approvals`."""

from approvals.domain import facts
from chassis.journal import Codec
from contracts import approvals

CODEC = Codec()

CODEC.told(facts.ApprovalRequested, approvals.ApprovalRequested)
CODEC.told(facts.VoteCast, approvals.VoteCast)
CODEC.told(facts.ApprovalSettled, approvals.ApprovalSettled)
CODEC.noted(facts.FileOpened, "approvals.file-opened")
CODEC.noted(facts.ApprovalOpened, "approvals.approval-opened")
