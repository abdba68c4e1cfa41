"""What can be asked of this service, over HTTP and on inbound topics alike."""

from approvals.deciders import APPROVAL_FILES
from approvals.domain import messages
from chassis.commands import Caller, Commands
from contracts import approvals

commands = Commands("approvals")


@commands.on(approvals.Decide, "POST", "/requests/{subject}/decisions", scope="approvals:decide", into=APPROVAL_FILES)
def decide(body: approvals.Decide, caller: Caller) -> messages.CastVote:
    """Vote on an approval of the request."""
    return messages.CastVote(body.approval_id, body.decision, body.comment, caller.actor)
