"""Approvals, wired."""

from approvals.commands import commands
from approvals.deciders import APPROVAL_FILES
from approvals.handlers import references, stream
from approvals.routes import router
from approvals.settings import Settings
from approvals.tables import metadata
from chassis.service import Service

__all__ = ["SERVICE", "Settings"]

SERVICE = Service(
    name="approvals",
    aggregates=(APPROVAL_FILES,),
    stream=stream,
    references=references,
    commands=commands,
    routes=router,
    metadata=metadata,
    migrations="approvals.migrations",
)
