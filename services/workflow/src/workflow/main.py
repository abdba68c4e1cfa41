"""Workflow, wired."""

from chassis.service import Service
from workflow import handlers
from workflow.commands import commands
from workflow.deciders import PEOPLE, QUEUES, REQUESTS, TEAMS
from workflow.routes import router, sees
from workflow.settings import Settings
from workflow.tables import metadata

__all__ = ["SERVICE", "Settings"]

SERVICE = Service(
    name="workflow",
    aggregates=(REQUESTS, PEOPLE, TEAMS, QUEUES),
    stream=handlers.stream,
    references=handlers.references,
    commands=commands,
    routes=router,
    metadata=metadata,
    migrations="workflow.migrations",
    sees=sees,
)
