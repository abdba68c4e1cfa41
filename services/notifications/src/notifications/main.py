"""Wiring of the notifications service."""

from chassis.service import Service
from notifications import handlers
from notifications.commands import commands
from notifications.deciders import THREADS
from notifications.routes import router
from notifications.sender.recovered import doubt_what_is_due
from notifications.sender.role import sender
from notifications.settings import Settings
from notifications.tables import metadata

__all__ = ["SERVICE", "Settings"]

SERVICE = Service(
    name="notifications",
    aggregates=(THREADS,),
    commands=commands,
    routes=router,
    metadata=metadata,
    migrations="notifications.migrations",
    stream=handlers.stream,
    references=handlers.references,
    roles={"sender": sender},
    recovered=doubt_what_is_due,
)
