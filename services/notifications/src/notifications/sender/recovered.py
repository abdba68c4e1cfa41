"""After a restore: mails that were due are not sent by themselves, since nobody knows whether they went out."""

import structlog

from chassis.asked import Asked
from chassis.decision import SYSTEM
from chassis.ids import new_id
from chassis.service import Runtime
from notifications import store
from notifications.deciders import THREADS
from notifications.domain import messages

log = structlog.get_logger(__name__)

_PAGE = 500


async def doubt_what_is_due(runtime: Runtime) -> None:
    """Let every mail that is due become unknown; an operator may send it again."""
    decider = runtime.deciders[THREADS.name]
    before: list[object] = []
    while (due := await store.due(runtime.database, _PAGE)) and due != before:
        await decider.handle_batch(
            [
                Asked(subject=request, message=messages.Doubt(mail), id=new_id(), actor=SYSTEM, correlation_id=mail)
                for request, mail in due
            ]
        )
        log.warning("mails_unknown", mails=len(due))
        before = list(due)
