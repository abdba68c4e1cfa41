"""Writes, over HTTP and inbound topics alike."""

from chassis.commands import Caller, Commands
from contracts import notifications
from notifications.deciders import THREADS
from notifications.domain import messages

commands = Commands("notifications")


@commands.on(
    notifications.RetryMessage,
    "POST",
    "/requests/{subject}/messages/{message_id}/retry",
    scope="notifications:write",
    into=THREADS,
)
def retry(body: notifications.RetryMessage, caller: Caller) -> messages.Retry:
    return messages.Retry(body.message_id, body.reason, caller.actor)
