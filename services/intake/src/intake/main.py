"""Intake, wired."""

from dataclasses import replace

from chassis.service import Service
from intake.commands import commands
from intake.deciders import CONTACTS, ORGANISATIONS, SUBMISSIONS, submissions
from intake.handlers import references, stream
from intake.routes import router, sees
from intake.settings import Settings
from intake.tables import metadata

__all__ = ["SERVICE", "Settings"]


def numbered(service: Service, settings: Settings) -> Service:
    """The service with request numbers as the installation wants them."""
    return replace(service, aggregates=(submissions(settings.numbering), CONTACTS, ORGANISATIONS))


SERVICE = Service(
    name="intake",
    aggregates=(SUBMISSIONS, CONTACTS, ORGANISATIONS),
    stream=stream,
    references=references,
    commands=commands,
    routes=router,
    metadata=metadata,
    migrations="intake.migrations",
    sees=sees,
    configure=numbered,
)
